/* Prints the state that a program is started with, one `name=value` a line. Static, so that a root
 * directory needs no other file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void ids(void) {
    uid_t r, e, s;
    gid_t groups[64];
    getresuid(&r, &e, &s);
    printf("uids=%u %u %u %u\n", r, e, s, (unsigned)setfsuid(-1));
    getresgid(&r, &e, &s);
    printf("gids=%u %u %u %u\n", r, e, s, (unsigned)setfsgid(-1));
    int count = getgroups(64, groups);
    for (int i = 0; i < count; i++)
        printf("group=%u\n", groups[i]);
    printf("root_again=%d\n", setuid(0) == 0 || setgid(0) == 0);
}

static void capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    unsigned long bounding = 0, ambient = 0;
    syscall(SYS_capget, &header, data);
    for (int i = 0; i < 64; i++) {
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            bounding |= 1UL << i;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
            ambient |= 1UL << i;
    }
    printf("permitted=%x%08x\n", data[1].permitted, data[0].permitted);
    printf("effective=%x%08x\n", data[1].effective, data[0].effective);
    printf("inheritable=%x%08x\n", data[1].inheritable, data[0].inheritable);
    printf("bounding=%lx\nambient=%lx\n", bounding, ambient);
    printf("no_new_privs=%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void signals(void) {
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int i = 1; i < 65; i++) {
        /* The structure of the kernel, handler first: the C library hides two signals. */
        unsigned long action[8] = {0};
        if (sigismember(&blocked, i) == 1)
            printf("blocked=%d\n", i);
        if (syscall(SYS_rt_sigaction, i, NULL, action, 8) == 0 && action[0])
            printf("not_default=%d\n", i);
    }
}

static void files(void) {
    char cwd[4096];
    struct stat root, up;
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            printf("fd=%d\n", fd);
    printf("cwd=%s\n", syscall(SYS_getcwd, cwd, sizeof cwd) > 0 ? cwd : "?");
    stat("/", &root);
    stat("/..", &up);
    printf("root=%lu %lu\n", root.st_dev, root.st_ino);
    printf("above_root=%lu %lu\n", up.st_dev, up.st_ino);
    mode_t mask = umask(0);
    printf("umask=%o\n", mask);
}

static void terminal(void) {
    printf("pid=%d\nsid=%d\npgid=%d\n", getpid(), getsid(0), getpgrp());
    printf("keyring=%ld\n", syscall(SYS_keyctl, 0, -3, 0));
    for (int fd = 0; fd < 3; fd++) {
        struct stat file;
        struct winsize size;
        if (!isatty(fd))
            continue;
        fstat(fd, &file);
        ioctl(fd, TIOCGWINSZ, &size);
        printf("tty=%d %lu %d %d\n", fd, file.st_rdev, file.st_uid == getuid(), tcgetsid(fd));
        printf("size=%d %d\n", size.ws_row, size.ws_col);
    }
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
    printf("dev_tty=%s\n", tty < 0 ? strerror(errno) : "open");
}

static volatile sig_atomic_t changes;

static void size(int signal) {
    struct winsize now;
    changes += signal != 0;
    ioctl(0, TIOCGWINSZ, &now);
    printf("size=%d %d\n", now.ws_row, now.ws_col);
}

static int number(char **argv) { return argv[2] ? atoi(argv[2]) : 0; }

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "state";
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("\n");
    if (!strcmp(what, "state")) {
        for (int i = 0; i < argc; i++)
            printf("arg=%s\n", argv[i]);
        for (char **one = environ; *one; one++)
            printf("env=%s\n", *one);
        terminal();
        signals();
        files();
        capabilities();
        ids();
    } else if (!strcmp(what, "exit")) {
        return number(argv);
    } else if (!strcmp(what, "join")) {
        /* Executes another program, in a new session keyring. */
        printf("joined=%ld\n", syscall(SYS_keyctl, 1, NULL));
        execv(argv[2], argv + 2);
    } else if (!strcmp(what, "kill")) {
        kill(getpid(), number(argv));
    } else if (!strcmp(what, "sleep")) {
        printf("pid=%d\n", getpid());
        sleep(60);
    } else if (!strcmp(what, "stubborn")) {
        for (int i = 1; i < 32; i++)
            signal(i, SIG_IGN);
        printf("pid=%d\n", getpid());
        for (;;)
            sleep(60);
    } else if (!strcmp(what, "echo")) {
        char line[256];
        printf("ready=1\n");
        while (fgets(line, sizeof line, stdin))
            printf("got=%s", line);
        printf("end=1\n");
    } else if (!strcmp(what, "size")) {
        signal(SIGWINCH, size);
        size(0);
        while (!changes)
            usleep(1000);
    } else if (!strcmp(what, "flood")) {
        for (int i = 0; i < number(argv); i++)
            printf("line=%d\n", i);
    } else if (!strcmp(what, "reopen")) {
        /* Closes every descriptor of its terminal, and opens it by name again. */
        fflush(stdout);
        close(0), close(1), close(2);
        usleep(200000);
        int tty = open("/dev/tty", O_RDWR);
        dprintf(tty, "reopened=%d\n", tty);
    } else if (!strcmp(what, "type")) {
        for (int fd = 0; fd < 3; fd++)
            printf("\ntyped=%d\n", ioctl(fd, TIOCSTI, "X") == 0);
    } else if (!strcmp(what, "late")) {
        usleep(200000);
        printf("late=1\n");
    }
    return 0;
}
