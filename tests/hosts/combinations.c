/* socket() with every domain, type, flags and protocol that matter: what each call gives, one line
   each. Lines that begin with "TCP" are TCP by the words of tcp(7) and ip(7). */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    static const int domains[] = {AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, 99, -1};
    static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET,
                                SOCK_PACKET, 15};
    static const int flags[] = {0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC, 0x10};
    static const int protocols[] = {0, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, 132, 136, 255, 262, -1};
    static const struct { const char *name; int level, number; } options[] = {
        {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE}, {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT},
        {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE}, {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL},
        {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT},
    };
#define EACH(i, array) for (size_t i = 0; i < sizeof array / sizeof *array; i++)
    EACH(d, domains) EACH(t, types) EACH(f, flags) EACH(p, protocols) {
        int tcp = (domains[d] == AF_INET || domains[d] == AF_INET6) && types[t] == SOCK_STREAM
            && (protocols[p] == 0 || protocols[p] == 6 || protocols[p] == 262);
        errno = 4242;
        int fd = socket(domains[d], types[t] | flags[f], protocols[p]);
        printf("%s domain=%d type=%#x protocol=%d: errno %d", tcp ? "TCP" : "not", domains[d],
               types[t] | flags[f], protocols[p], errno);
        if (fd >= 0) {
            printf(" fd %d FD %d FL %#x", fd, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
            EACH(o, options) {
                int value = 0;
                socklen_t length = sizeof value;
                if (getsockopt(fd, options[o].level, options[o].number, &value, &length))
                    printf(" %s=errno %d", options[o].name, errno);
                else
                    printf(" %s=%d", options[o].name, value);
            }
            close(fd);
        }
        printf("\n");
    }
    return 0;
}
