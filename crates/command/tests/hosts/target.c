/* A server and a client in one program, for the command to look into: connects to itself, then does
   what each line on stdin says.

     echo    sends a byte through its connection and back: prints `echo ok`
     accept  accepts one more connection, and keeps it: prints `accept ok`
     connect opens one more connection to itself: prints `connect ok`
     reopen  closes its first connection and opens another at the same descriptors: prints `reopen ok`
     fork    starts a child that does the same and stays: prints `fork ok`
     forks   starts 1,000 children, one after the other, that do the same and end: prints `forks ok`
     own     sets a time of its own on its first connection: prints `own ok`
     dumpable calls prctl(PR_SET_DUMPABLE, 1): prints `dumpable ok`

   Arguments, before that: `undumpable` calls prctl(PR_SET_DUMPABLE, 0). */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int check(const char *call, int result)
{
    if (result < 0) {
        perror(call);
        exit(2);
    }
    return result;
}

static void connect_to_itself(int listener, struct sockaddr_in address)
{
    int client = check("socket", socket(AF_INET, SOCK_STREAM, 0));
    check("connect", connect(client, (struct sockaddr *)&address, sizeof address));
    check("accept", accept(listener, NULL, NULL));
}

/* Where Yama's level is 1, only a process's ancestors may look into it, unless it says otherwise: for
   itself, not for its children. tests/systems/yama.sh leaves that out. */
static void allow_inspection(void)
{
#ifndef NO_PTRACER
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
#endif
}

int main(int count, char **arguments)
{
    allow_inspection();
    if (count > 1 && !strcmp(arguments[1], "undumpable"))
        check("prctl", prctl(PR_SET_DUMPABLE, 0));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = check("socket", socket(AF_INET, SOCK_STREAM, 0));
    check("bind", bind(listener, (struct sockaddr *)&address, length));
    check("listen", listen(listener, 4096));
    check("getsockname", getsockname(listener, (struct sockaddr *)&address, &length));
    int client = check("socket", socket(AF_INET, SOCK_STREAM, 0));
    check("connect", connect(client, (struct sockaddr *)&address, length));
    int server = check("accept", accept(listener, NULL, NULL));
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);

    char line[80];
    while (fgets(line, sizeof line, stdin)) {
        char byte = 'x';
        if (!strcmp(line, "accept\n")) {
            check("accept", accept(listener, NULL, NULL));
            puts("accept ok");
        } else if (!strcmp(line, "connect\n")) {
            connect_to_itself(listener, address);
            puts("connect ok");
        } else if (!strcmp(line, "reopen\n")) {
            close(client);
            close(server);
            connect_to_itself(listener, address);
            puts("reopen ok");
        } else if (!strcmp(line, "fork\n")) {
            if (check("fork", fork()) == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                allow_inspection();
                connect_to_itself(listener, address);
                puts("fork ok");
                fflush(stdout);
                pause();
            }
            continue;
        } else if (!strcmp(line, "forks\n")) {
            for (int number = 0; number < 1000; number++) {
                pid_t child = check("fork", fork());
                if (child == 0) {
                    connect_to_itself(listener, address);
                    _exit(0);
                }
                int status;
                if (waitpid(-1, &status, 0) != child || status != 0)
                    exit(2);
            }
            puts("forks ok");
        } else if (!strcmp(line, "own\n")) {
            int idle = 33;
            check("setsockopt", setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle));
            puts("own ok");
        } else if (!strcmp(line, "dumpable\n")) {
            check("prctl", prctl(PR_SET_DUMPABLE, 1));
            puts("dumpable ok");
        } else {
            check("write", write(client, &byte, 1));
            check("read", read(server, &byte, 1));
            check("write", write(server, &byte, 1));
            check("read", read(client, &byte, 1));
            puts("echo ok");
        }
        fflush(stdout);
    }
    return 0;
}
