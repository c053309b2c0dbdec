/* As target.c, but an io_uring makes its sockets, connects and accepts, without a call that a preload
   could see. Each line on stdin opens one more connection to itself. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct io_uring_params parameters;
static struct io_uring_sqe *requests;
static char *submissions, *completions;
static int ring;

static int check(const char *what, int result)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(-result));
        exit(2);
    }
    return result;
}

static char *map(size_t size, off_t what)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what);
}

static void open_ring(void)
{
    ring = check("io_uring_setup", syscall(SYS_io_uring_setup, 4, &parameters));
    submissions = map(parameters.sq_off.array + 4 * sizeof(unsigned), IORING_OFF_SQ_RING);
    completions = map(parameters.cq_off.cqes + 8 * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    requests = (void *)map(4 * sizeof *requests, IORING_OFF_SQES);
}

/* One request at a time: its result. */
static int carry_out(const char *what, struct io_uring_sqe request)
{
    unsigned *tail = (void *)(submissions + parameters.sq_off.tail);
    unsigned *head = (void *)(completions + parameters.cq_off.head);
    requests[*tail % 4] = request;
    ((unsigned *)(submissions + parameters.sq_off.array))[*tail % 4] = *tail % 4;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    check(what, syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    struct io_uring_cqe *results = (void *)(completions + parameters.cq_off.cqes);
    int result = results[*head % 8].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return check(what, result);
}

static int new_socket(void)
{
    return carry_out("socket", (struct io_uring_sqe){
                                   .opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM});
}

static void connect_to_itself(int listener, struct sockaddr_in *address)
{
    carry_out("connect", (struct io_uring_sqe){.opcode = IORING_OP_CONNECT,
                                               .fd = new_socket(),
                                               .addr = (unsigned long)address,
                                               .off = sizeof *address});
    carry_out("accept", (struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = listener});
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* for Yama, as in target.c */
    open_ring();
    int listener = new_socket();
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 16);
    getsockname(listener, (struct sockaddr *)&address, &length);
    connect_to_itself(listener, &address);
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    char line[80];
    while (fgets(line, sizeof line, stdin)) {
        connect_to_itself(listener, &address);
        puts("connect ok");
        fflush(stdout);
    }
    return 0;
}
