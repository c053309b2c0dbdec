/* A broker of which nobody has the source: answers each message with the same, and never asks whether
   anybody is still there. Argument: a port. Prints `ready PORT`. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
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
    if (count != 2)
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    struct pollfd fds[100] = {{.fd = check("socket", socket(AF_INET, SOCK_STREAM, 0)), .events = POLLIN}};
    check("bind", bind(fds[0].fd, (struct sockaddr *)&address, sizeof address));
    check("listen", listen(fds[0].fd, 99));
    printf("ready %s\n", arguments[1]);
    fflush(stdout);
    for (int used = 1;;) {
        check("poll", poll(fds, used, -1));
        if (fds[0].revents && used < 100)
            fds[used++] = (struct pollfd){.fd = check("accept", accept(fds[0].fd, NULL, NULL)), .events = POLLIN};
        for (int number = 1; number < used; number++) {
            char message[100];
            if (!fds[number].revents)
                continue;
            ssize_t length = read(fds[number].fd, message, sizeof message);
            if (length > 0 && write(fds[number].fd, message, length) == length)
                continue;
            close(fds[number].fd);
            fds[number--] = fds[--used];
        }
    }
}
