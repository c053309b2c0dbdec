/* Processes that open, connect, duplicate and close sockets, and fork, execute this program anew, or end
   and are replaced. Their parent has three sockets that stay, descriptors 100 to 102 (a listener and both
   ends of a connection to it), while another of its threads opens and closes sockets below them.

   Arguments: how many processes at a time; `calm` if nobody may turn keepalive on: each socket on which it
   is when it is closed, or that stays, is a line `changed` on stdout. Prints `ready PORT`. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in address = {.sin_family = AF_INET};
static int is_calm;

static void check(int socket)
{
    int is_on = 0;
    socklen_t size = sizeof is_on;
    if (is_calm && !getsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &is_on, &size) && is_on &&
        write(1, "changed\n", 8) != 8)
        _exit(2);
}

static void use_sockets(int rounds)
{
    /* Connections end at once and leave no port behind that waits. */
    struct linger linger = {1, 0};
    int held[8];
    memset(held, -1, sizeof held);
    for (; rounds; rounds--) {
        int *slot = &held[rand() % 8];
        check(*slot);
        close(*slot);
        *slot = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(*slot, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        switch (rand() % 4) {
        case 0:
            listen(*slot, 1);
            break;
        case 1:
            dup2(held[rand() % 8], *slot);
            break;
        default:
            connect(*slot, (struct sockaddr *)&address, sizeof address);
        }
        usleep(rand() % 1000);
    }
    for (int slot = 0; slot < 8; slot++) {
        check(held[slot]);
        close(held[slot]);
    }
}

static void *use_sockets_for_ever(void *nothing)
{
    for (;;)
        use_sockets(rand() % 50);
    return nothing;
}

static void storm(char **arguments)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* for Yama, as in target.c */
    close_range(3, ~0, 0);
    srand(getpid() ^ time(NULL));
    for (;;) {
        use_sockets(rand() % 20);
        switch (rand() % 3) {
        case 0:
            if (!fork()) {
                use_sockets(rand() % 20);
                _exit(0);
            }
            waitpid(-1, NULL, 0);
            break;
        case 1:
            execv("/proc/self/exe", arguments);
            _exit(2);
        default:
            _exit(0);
        }
    }
}

int main(int count, char **arguments)
{
    is_calm = count > 2 && !strcmp(arguments[2], "calm");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (count == 4) {
        address.sin_port = atoi(arguments[3]);
        storm(arguments);
    }
    socklen_t length = sizeof address;
    int listener = dup2(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), 100);
    int client = dup2(socket(AF_INET, SOCK_STREAM, 0), 101);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &length) ||
        connect(client, (struct sockaddr *)&address, length) ||
        dup2(accept(listener, NULL, NULL), 102) != 102)
        return 2;
    close_range(3, 99, 0);
    char port[8];
    snprintf(port, sizeof port, "%d", address.sin_port);
    char *with_port[] = {arguments[0], arguments[1], is_calm ? "calm" : "wild", port, NULL};
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_sockets_for_ever, NULL))
        return 2;
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int running = 0;;) {
        for (; running < atoi(arguments[1]); running++)
            if (!fork())
                storm(with_port);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            running--;
        for (int peer; (peer = accept(listener, NULL, NULL)) >= 0; close(peer))
            check(peer);
        for (int stays = 100; stays < 103; stays++)
            check(stays);
        usleep(1000);
    }
}
