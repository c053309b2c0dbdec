/* Runs a program in a sandbox in which setsockopt(2) and getsockopt(2) are refused: the first
   argument says how, `kill` or `EPERM`; the rest is the program. */

#include <errno.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
/* Passes over the next instruction unless the value is this one. */
#define IF(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    unsigned refuse = !strcmp(arguments[1], "kill") ? SECCOMP_RET_KILL_PROCESS
        : SECCOMP_RET_ERRNO | EPERM;
    struct sock_filter filter[] = {
        LOAD(nr),
        IF(SYS_setsockopt) RETURN(refuse),
        IF(SYS_getsockopt) RETURN(refuse),
#ifdef SYS_socketcall
        /* i386: socket calls by number. */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socketcall, 0, 5),
        LOAD(args[0]),
        IF(SYS_SETSOCKOPT) RETURN(refuse),
        IF(SYS_GETSOCKOPT) RETURN(refuse),
#endif
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("seccomp");
        return 2;
    }
    execv(arguments[2], arguments + 2);
    perror(arguments[2]);
    return 2;
}
