/* Connects to one port and to another by turns, always at the same descriptor. Arguments: both ports.
   Prints `ready 0`. On the connections to the second port nobody else may have set anything: ends
   with 1 if keepalive is on there. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int check(const char *call, int result)
{
    if (result < 0) {
        perror(call);
        exit(2);
    }
    return result;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* No TIME-WAIT, of which there would be too many. */
    struct linger reset = {.l_onoff = 1};
    puts("ready 0");
    fflush(stdout);
    for (unsigned long turn = 0;; turn++) {
        int second = turn % 2, keepalive;
        socklen_t length = sizeof keepalive;
        address.sin_port = htons(atoi(arguments[1 + second]));
        int fd = check("socket", socket(AF_INET, SOCK_STREAM, 0));
        check("setsockopt", setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
        check("connect", connect(fd, (struct sockaddr *)&address, sizeof address));
        /* Now and then long enough to be seen. */
        usleep(turn % 16 ? 100 : 20000);
        check("getsockopt", getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &length));
        if (second && keepalive)
            return 1;
        close(fd);
    }
}
