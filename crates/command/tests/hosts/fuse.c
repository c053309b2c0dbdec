/* A FUSE file system with one file. Its server, this process, answers what its children ask, but never
   what is asked of it in the process that looks. Arguments: an empty directory, what each child does, how
   many children there are (1), and whose they are (root's):

     flip    64 descriptors are that file's and a TCP socket's by turns
     locked  a send(2) from the file mapped into memory, which never returns: the socket is locked
     mapped  an mmap(2) that never returns: until then nobody can read the process's memory
     both    mapped, and locked

   Prints `ready 0` and each child's number. Everything ends with the server. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(const char *call, int result)
{
    if (result < 0) {
        perror(call);
        exit(2);
    }
    return result;
}

static void answer(int device, uint64_t unique, int error, const void *data, size_t size)
{
    char message[4096];
    struct fuse_out_header header = {sizeof header + size, -error, unique};
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, data, size);
    /* Who asked may be gone. */
    if (write(device, message, header.len) < 0 && errno != ENOENT)
        exit(2);
}

static struct fuse_attr attributes(uint64_t node)
{
    struct fuse_attr attributes = {.ino = node, .size = 1 << 20, .nlink = 1};
    attributes.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    return attributes;
}

static pid_t children[100];
static int number = 1;

static int is_child(uint32_t pid)
{
    for (int index = 0; index < number; index++)
        if ((uint32_t)children[index] == pid)
            return 1;
    return 0;
}

static void serve(int device)
{
    static char request[1 << 20];
    while (read(device, request, sizeof request) > 0) {
        struct fuse_in_header *header = (void *)request;
        struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096};
        struct fuse_entry_out entry = {.nodeid = 2, .entry_valid = 1000, .attr_valid = 1000, .attr = attributes(2)};
        struct fuse_attr_out attr = {.attr_valid = 1000, .attr = attributes(header->nodeid)};
        struct fuse_open_out opened = {0};
        switch (header->opcode) {
        case FUSE_INIT: answer(device, header->unique, 0, &init, sizeof init); break;
        case FUSE_LOOKUP: answer(device, header->unique, 0, &entry, sizeof entry); break;
        case FUSE_GETATTR: answer(device, header->unique, 0, &attr, sizeof attr); break;
        case FUSE_OPEN:
            /* Whoever maps the file past the cache waits for those who read it through the cache. */
            if (((struct fuse_open_in *)(header + 1))->flags & O_SYNC)
                opened.open_flags = FOPEN_DIRECT_IO;
            answer(device, header->unique, 0, &opened, sizeof opened); break;
        case FUSE_READ: break;
        case FUSE_FLUSH:
            /* What another process closes is never answered. */
            if (!is_child(header->pid))
                break;
            /* fallthrough */
        case FUSE_RELEASE: answer(device, header->unique, 0, NULL, 0); break;
        default: answer(device, header->unique, ENOSYS, NULL, 0);
        }
    }
}

static int sockets[2];

static void *send_mapping(void *mapping)
{
    send(sockets[0], mapping, 4096, 0);
    return NULL;
}

static void *read_file(void *file)
{
    char byte;
    return read(*(int *)file, &byte, 1) == 1 ? file : NULL;
}

static void *map_file(void *file)
{
    return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, *(int *)file, 0);
}

int main(int count, char **arguments)
{
    if (count < 3 || count > 5)
        return 2;
    if (count > 3)
        number = atoi(arguments[3]);
    if (number < 1 || number > (int)(sizeof children / sizeof *children))
        return 2;
    check("unshare", unshare(CLONE_NEWNS));
    check("mount", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    int device = check("/dev/fuse", open("/dev/fuse", O_RDWR | O_CLOEXEC));
    char options[100], path[1000];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d", device, getuid(), getgid());
    check("mount", mount("fuse", arguments[1], "fuse", MS_NOSUID | MS_NODEV, options));
    int index = 0;
    while (index < number && (children[index] = check("fork", fork())))
        index++;
    if (index == number) {
        printf("ready 0\n");
        for (index = 0; index < number; index++)
            printf("%d\n", children[index]);
        fflush(stdout);
        serve(device);
        return 2;
    }
    close(device);
    snprintf(path, sizeof path, "%s/file", arguments[1]);
    int file = check(path, open(path, O_RDONLY));
    int is_mapped = !strcmp(arguments[2], "mapped") || !strcmp(arguments[2], "both");
    int direct = is_mapped ? check(path, open(path, O_RDONLY | O_SYNC)) : -1;
    /* What one child does could keep another from opening the file. */
    usleep(number > 1 ? 500000 : 0);
    if (count > 4)
        check("setuid", setuid(atoi(arguments[4])));
    /* Forgotten by setuid(2). */
    prctl(PR_SET_PDEATHSIG, SIGKILL);

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = check("socket", socket(AF_INET, SOCK_STREAM, 0));
    check("bind", bind(listener, (struct sockaddr *)&address, length));
    check("listen", listen(listener, 1));
    check("getsockname", getsockname(listener, (struct sockaddr *)&address, &length));
    sockets[0] = check("socket", socket(AF_INET, SOCK_STREAM, 0));
    check("connect", connect(sockets[0], (struct sockaddr *)&address, length));

    if (!strcmp(arguments[2], "locked") || !strcmp(arguments[2], "both")) {
        pthread_t thread;
        void *mapping = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapping == MAP_FAILED || pthread_create(&thread, NULL, send_mapping, mapping))
            return 2;
        usleep(100000);
    }
    if (is_mapped) {
        pthread_t reader, mapper;
        if (pthread_create(&reader, NULL, read_file, &file) || usleep(100000) ||
            pthread_create(&mapper, NULL, map_file, &direct))
            return 2;
    }
    if (strcmp(arguments[2], "flip"))
        pause();
    /* Sockets that are looked at first, so that time passes between the listing and the look at
       those that change. */
    struct rlimit limit;
    check("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    check("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
    for (int number = 0; number < 1000; number++)
        check("socket", socket(AF_INET, SOCK_STREAM, 0));
    /* Of a socket with several descriptors only the lowest is looked at. */
    for (int fd = 3000; fd < 3064; fd++) {
        int socket_fd = check("socket", socket(AF_INET, SOCK_STREAM, 0));
        check("dup2", dup2(socket_fd, fd));
        close(socket_fd);
    }
    for (;;) {
        for (int fd = 2000; fd < 2064; fd++)
            check("dup2", dup2(file, fd));
        for (int fd = 2000; fd < 2064; fd++)
            check("dup2", dup2(fd + 1000, fd));
    }
}
