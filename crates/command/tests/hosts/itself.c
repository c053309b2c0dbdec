/* Writes down what it can see of itself: into the file that is its first argument, for its standard
   descriptors may be closed. Its own number is written `SELF`. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

static FILE *out;

static void number(const char *name, long value)
{
    fprintf(out, "%s: %ld\n", name, value);
}

static void process(const char *name, pid_t value)
{
    if (value == getpid())
        fprintf(out, "%s: SELF\n", name);
    else
        number(name, value);
}

/* Every descriptor except those by which it looks. */
static void descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(directory) || fd == fileno(out))
            continue;
        char target[PATH_MAX] = "?";
        if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) < 0)
            continue;
        fprintf(out, "descriptor %d: %s, %x %x\n", fd, target, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
    }
    number("first free descriptor", fileno(out));
    closedir(directory);
}

/* Memory, times, and what is counted for all processes of a user differ from one run to the next. */
static void status(void)
{
    static const char *differ[] = {"Vm", "Rss", "SigQ", "voluntary", "nonvoluntary"};
    char line[4096];
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file)) {
        int is_same = 1;
        for (size_t index = 0; index < sizeof differ / sizeof *differ; index++)
            is_same &= strncmp(line, differ[index], strlen(differ[index])) != 0;
        char *value = strchr(line, ':') + 1;
        if (is_same && (strstr(line, "gid:") || strstr(line, "pid:") || strstr(line, "Pid:") ||
                        strstr(line, "NSsid:")) &&
            atoi(value) == getpid())
            fprintf(out, "%.*s: SELF\n", (int)(value - line - 1), line);
        else if (is_same)
            fputs(line, out);
    }
    fclose(file);
}

static void children(void)
{
    char path[64];
    int child, count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "r");
    while (file && fscanf(file, "%d", &child) == 1)
        count++;
    number("children", count);
}

int main(int count, char **arguments)
{
    int is_reaper = 0, result = 0;
    struct tms times_of;
    if (count < 2 || (out = fopen(arguments[1], "w")) == NULL)
        return 2;
    descriptors();
    process("process", getpid());
    process("parent", getppid());
    process("process group", getpgrp());
    process("session", getsid(0));
    int terminal = open("/dev/tty", O_RDONLY);
    number("controlling terminal", terminal >= 0);
    process("its foreground process group", terminal < 0 ? -1 : tcgetpgrp(terminal));
    close(terminal);
    prctl(PR_GET_CHILD_SUBREAPER, &is_reaper);
    number("takes in orphans", is_reaper);
    number("parent's death signal", (prctl(PR_GET_PDEATHSIG, &result), result));
    number("dumpable", prctl(PR_GET_DUMPABLE));
    number("umask", umask(0));
    fprintf(out, "directory: %s\n", get_current_dir_name());
    status();
    children();
    times(&times_of);
    number("ticks of children", times_of.tms_cutime + times_of.tms_cstime);
    for (char **entry = environ; *entry; entry++)
        fprintf(out, "environment: %s\n", *entry);
    /* Last, for it would wait for a child that does not end. (The first process of a pid namespace
       has no signal that ends it but one that it handles.) */
    signal(SIGALRM, _exit);
    alarm(30);
    while ((result = waitpid(-1, NULL, 0)) > 0)
        fputs("a child that has ended\n", out);
    fprintf(out, "wait: %s\n", strerror(errno));
    fclose(out);
    return 0;
}
