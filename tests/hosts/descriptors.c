/* A program that does without the usual descriptors, as daemons do. The first argument says how
   they go: `closed`, all of them; `daemon`, two forks and /dev/null for 0 to 2; `closed-daemon`,
   two forks and 0 to 2 closed. The second names the file that takes the report. */

#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <sys/wait.h>

static int served, unserved, changed_errno, stray_bytes;

static void look_at(int fd)
{
    if (fd < 0 || errno != UNTOUCHED)
        changed_errno++;
    if (has_settings(fd))
        served++;
    else
        unserved++;
}

/* A pair of connected sockets: the lowest descriptors that are free. Whatever arrives at either
   end that the program did not send came from the library. */
static void connect_two(int listener, struct sockaddr_in *address)
{
    errno = UNTOUCHED;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    look_at(client);
    must("connect", connect(client, (struct sockaddr *)address, sizeof *address));
    errno = UNTOUCHED;
    int server = accept(listener, NULL, NULL);
    look_at(server);
    char bytes[1000];
    for (int i = 0; i < 3; i++) {
        errno = UNTOUCHED;
        look_at(socket(AF_INET, SOCK_STREAM, 0));
    }
    int number = recv(server, bytes, sizeof bytes, MSG_DONTWAIT);
    stray_bytes += number > 0 ? number : 0;
    number = recv(client, bytes, sizeof bytes, MSG_DONTWAIT);
    stray_bytes += number > 0 ? number : 0;
}

static void fork_twice(void)
{
    int status;
    pid_t child = must("fork", fork());
    if (child) {
        waitpid(child, &status, 0);
        exit(status != 0);
    }
    setsid();
    /* Here a daemon's first child ends at once; this one waits, so that the test can. */
    child = must("fork", fork());
    if (child) {
        waitpid(child, &status, 0);
        _exit(status != 0);
    }
    must("chdir", chdir("/"));
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    int at_start = open_descriptors(), to = !strcmp(arguments[1], "closed") ? 4096 : 3;
    alarm(60);
    if (strcmp(arguments[1], "closed"))
        fork_twice();
    for (int fd = 0; fd < to; fd++)
        close(fd);
    if (!strcmp(arguments[1], "daemon")) {
        must("open", open("/dev/null", O_RDWR));
        must("dup", dup(0));
        must("dup", dup(0));
    }

    struct sockaddr_in address;
    int listener = listener_on(&address, 9);
    connect_two(listener, &address);
    connect_two(listener, &address);

    int report = must("report", open(arguments[2], O_WRONLY | O_CREAT | O_TRUNC, 0600));
    dprintf(report, "descriptors at start: %d\n", at_start);
    dprintf(report, "listener=%d served=%d unserved=%d changed_errno=%d stray_bytes=%d\n",
            listener, served, unserved, changed_errno, stray_bytes);
    return 0;
}
