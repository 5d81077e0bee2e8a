/* Makes system calls that a session is kept from, each in a process of its own, and says for each what the kernel answered: "ok", the name of the errno, or
 * "signal". The arguments do no harm where the call is carried out. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

static void say(const char *name, long (*call)(void))
{
    int status;
    fflush(stdout);
    if (fork() == 0) {
        errno = 0;
        long answer = call();
        printf("%s %s\n", name, answer >= 0 ? "ok" : strerrorname_np(errno));
        fflush(stdout);
        _exit(0);
    }
    wait(&status);
    if (WIFSIGNALED(status))
        printf("%s signal\n", name);
}

#define CALL(name, ...) static long call_##name(void) { __VA_ARGS__ }

CALL(io_uring_setup, char params[256] = {0}; return syscall(SYS_io_uring_setup, 1, params);)
CALL(add_key, return syscall(SYS_add_key, "user", "probe", "x", 1, -2);)
CALL(request_key, long answer = syscall(SYS_request_key, "user", "nothing of that name", 0, 0);
     return answer < 0 && errno == ENOKEY ? 0 : answer;)
CALL(keyctl_user, return syscall(SYS_keyctl, 0, -4, 1);)
CALL(keyctl_session, return syscall(SYS_keyctl, 0, -3, 0);)
CALL(clone3, long args[11] = {0}; args[4] = SIGCHLD; long child = syscall(SYS_clone3, args, sizeof args); if (child == 0) _exit(0); return child;)
CALL(userfaultfd, return syscall(SYS_userfaultfd, 1);)
CALL(perf_event_open, struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
     return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);)
CALL(kcmp, return syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0);)
CALL(fanotify_init, return syscall(SYS_fanotify_init, 0x200, 0);)
CALL(vmsplice, int ends[2]; struct iovec data = {"x", 1}; return pipe(ends) + syscall(SYS_vmsplice, ends[1], &data, 1, 0);)
CALL(move_pages, static int page; void *pages[] = {&page}; int status; return syscall(SYS_move_pages, 0, 1, pages, 0, &status, 0);)
CALL(setns, long answer = syscall(SYS_setns, -1, 0); return answer < 0 && errno == EBADF ? 0 : answer;)
CALL(open_tree, return syscall(SYS_open_tree, AT_FDCWD, "/", 0);)
CALL(mount, long answer = syscall(SYS_mount, 0, 0, 0, 0, 0); return answer < 0 && errno == EFAULT ? 0 : answer;)
CALL(open_by_handle_at, return syscall(SYS_open_by_handle_at, -1, 0, 0);)
CALL(bpf, return syscall(SYS_bpf, 0, 0, 0);)
CALL(init_module, return syscall(SYS_init_module, 0, 0, "");)
CALL(kexec_load, return syscall(SYS_kexec_load, 0, 0, 0, 0);)
CALL(swapon, return syscall(SYS_swapon, "/nothing", 0);)
CALL(acct, return syscall(SYS_acct, 0);)
CALL(quotactl, return syscall(SYS_quotactl, 0, 0, 0, 0);)
CALL(unshare_user, return syscall(SYS_unshare, CLONE_NEWUSER);)
CALL(unshare_files, return syscall(SYS_unshare, CLONE_FILES | CLONE_FS);)
CALL(clone_user, long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); if (child == 0) _exit(0); return child;)
CALL(clone_child, long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); if (child == 0) _exit(0); return child;)
CALL(personality_no_randomisation, return syscall(SYS_personality, 0x40000);)
CALL(personality_exec, return syscall(SYS_personality, 0x400000);)
CALL(personality_ask, return syscall(SYS_personality, 0xffffffff);)
CALL(tiocsti, long answer = syscall(SYS_ioctl, open("/dev/null", O_RDWR), 0x5412, "x"); return answer < 0 && errno == ENOTTY ? 0 : answer;)
CALL(tiocsti_high, long answer = syscall(SYS_ioctl, open("/dev/null", O_RDWR), 0x100005412, "x"); return answer < 0 && errno == ENOTTY ? 0 : answer;)
CALL(tiocgwinsz, long answer = syscall(SYS_ioctl, open("/dev/null", O_RDWR), TIOCGWINSZ, 0); return answer < 0 && errno == ENOTTY ? 0 : answer;)
CALL(vsock, return socket(AF_VSOCK, SOCK_STREAM, 0);)
CALL(vsock_high, return syscall(SYS_socket, 0x100000000 | AF_VSOCK, SOCK_STREAM, 0);)
CALL(alg, return socket(38, SOCK_SEQPACKET, 0);)
CALL(packet, return socket(AF_PACKET, SOCK_DGRAM, 0);)
CALL(unix_stream, return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);)
CALL(unix_pair, int ends[2]; return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);)
CALL(tcp, return socket(AF_INET, SOCK_STREAM, 0);)
CALL(udp6, return socket(AF_INET6, SOCK_DGRAM, 0);)
CALL(netlink_route, return socket(AF_NETLINK, SOCK_RAW, 0);)
CALL(netlink_usersock, return socket(AF_NETLINK, SOCK_RAW, 2);)
CALL(netlink_netfilter, return socket(AF_NETLINK, SOCK_RAW, 12);)
CALL(netlink_uevent, return socket(AF_NETLINK, SOCK_RAW, 15);)
CALL(netlink_generic, return socket(AF_NETLINK, SOCK_RAW, 16);)
/* What libaudit does: an account without CAP_AUDIT_WRITE is answered with an error, in the host's user namespace EPERM. */
CALL(audit_message, struct { int length; short kind, flags; int sequence, sender; char text[16]; } message = {32, 1105, 5, 1, 0, "op=probe"};
     struct { int length; short kind, flags; int sequence, sender, error; char rest[64]; } reply = {0};
     int s = socket(AF_NETLINK, SOCK_RAW, 9);
     if (s < 0 || send(s, &message, message.length, 0) < 0 || recv(s, &reply, sizeof reply, 0) < 20)
         return -1;
     errno = -reply.error;
     return reply.error;)
CALL(beyond, return syscall(0x3ffffff);)

#ifdef __x86_64__
/* By the entry of 32-bit programs, which every process has. */
static long old(long number, long first, long second, long third)
{
    long answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory", "r8", "r9", "r10", "r11");
    answer = (int)answer;
    if (answer < 0 && answer > -4096) {
        errno = -answer;
        return -1;
    }
    return answer;
}
CALL(i386_getpid, return old(20, 0, 0, 0);)
CALL(i386_keyctl, return old(288, 0, -3, 0);)
CALL(i386_vsock, return old(359, AF_VSOCK, SOCK_STREAM, 0);)
CALL(i386_socketcall, long answer = old(102, 1, 0, 0); return answer < 0 && errno == EFAULT ? 0 : answer;)
CALL(i386_unshare, return old(310, CLONE_NEWUSER, 0, 0);)
CALL(x32_getpid, return syscall(0x40000000 | SYS_getpid);)
#endif

int main(void)
{
#define SAY(name) say(#name, call_##name)
    SAY(io_uring_setup); SAY(add_key); SAY(request_key); SAY(keyctl_user); SAY(keyctl_session); SAY(clone3);
    SAY(userfaultfd); SAY(perf_event_open); SAY(kcmp); SAY(fanotify_init); SAY(vmsplice); SAY(move_pages);
    SAY(setns); SAY(open_tree); SAY(mount); SAY(open_by_handle_at); SAY(bpf); SAY(init_module); SAY(kexec_load);
    SAY(swapon); SAY(acct); SAY(quotactl);
    SAY(unshare_user); SAY(unshare_files); SAY(clone_user); SAY(clone_child);
    SAY(personality_no_randomisation); SAY(personality_exec); SAY(personality_ask);
    SAY(tiocsti); SAY(tiocsti_high); SAY(tiocgwinsz);
    SAY(vsock); SAY(vsock_high); SAY(alg); SAY(packet); SAY(unix_stream); SAY(unix_pair); SAY(tcp); SAY(udp6);
    SAY(netlink_route); SAY(netlink_usersock); SAY(netlink_netfilter); SAY(netlink_uevent); SAY(netlink_generic); SAY(audit_message);
    SAY(beyond);
#ifdef __x86_64__
    SAY(i386_getpid); SAY(i386_keyctl); SAY(i386_vsock); SAY(i386_socketcall); SAY(i386_unshare); SAY(x32_getpid);
#endif
    return 0;
}
