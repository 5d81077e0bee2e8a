/* Scans /proc for processes of the given user ids until SIGTERM. Prints each distinct line once:
 *
 *   inside UID EXE root ROOT    a process whose root directory does not contain `outside`
 *   outside UID EXE root ROOT   a process whose root directory contains `outside`, a file that the
 *                               test creates in the host's root directory
 *   privileged UID EXE root ROOT   the same, but not dumpable (prctl(2), PR_SET_DUMPABLE): a program
 *                               started by root has changed to the user id and has not called
 *                               execve(2) yet, so the user can neither trace nor read it
 *   ended UID COMMAND           a process that called execve(2), from the kernel's process accounting
 *                               (acct(2)), which also contains processes too short for a scan
 *   scans N                     the number of scans of /proc
 *
 * A process belongs to a user if its real or saved user id is the user's: sshd reads authorized keys
 * with the user's effective id only. Needs root. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acct.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCOUNTING "/root/accounting"

static volatile sig_atomic_t over;
static void end(int signal) { (void)signal; over = 1; }

static unsigned uids[16];
static int users;
static int is_watched(unsigned uid) {
    for (int i = 0; i < users; i++) if (uids[i] == uid) return 1;
    return 0;
}

/* The lines printed so far. */
static char lines[512][160];
static int count;
static void once(const char *line) {
    for (int i = 0; i < count; i++) if (!strcmp(lines[i], line)) return;
    if (count < 512) snprintf(lines[count++], sizeof lines[0], "%s", line);
    puts(line);
    fflush(stdout);
}

static void look(const char *pid) {
    char path[64], text[1024], root[256] = "", exe[256] = "", line[160];
    unsigned real, effective, saved;
    struct stat status;
    snprintf(path, sizeof path, "/proc/%.20s/status", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return;
    text[length] = 0;
    char *ids = strstr(text, "\nUid:");
    if (!ids || sscanf(ids, "\nUid:%u%u%u", &real, &effective, &saved) != 3) return;
    if (!is_watched(real) && !is_watched(saved)) return;
    snprintf(path, sizeof path, "/proc/%.20s/root", pid);
    if (readlink(path, root, sizeof root - 1) < 0) return;
    snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
    if (readlink(path, exe, sizeof exe - 1) < 0) return;
    snprintf(path, sizeof path, "/proc/%.20s/root/outside", pid);
    int outside = access(path, F_OK) == 0;
    /* proc(5): it belongs to root if the process is not dumpable; the directory itself never does. */
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    if (stat(path, &status) < 0) return;
    snprintf(line, sizeof line, "%s %u %.60s root %.60s", !outside ? "inside" : status.st_uid ? "outside" : "privileged", real, exe, root);
    once(line);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc && users < 16; i++) uids[users++] = strtoul(argv[i], NULL, 10);
    signal(SIGTERM, end);
    close(open(ACCOUNTING, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    if (acct(ACCOUNTING) < 0) perror("acct");
    unsigned long scans = 0;
    puts("watching");
    fflush(stdout);
    for (; !over; scans++) {
        DIR *proc = opendir("/proc");
        if (!proc) return 1;
        for (struct dirent *entry; (entry = readdir(proc));)
            if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') look(entry->d_name);
        closedir(proc);
        usleep(20000);
    }
    acct(NULL);
    FILE *ended = fopen(ACCOUNTING, "r");
    struct acct_v3 record;
    char line[160];
    while (ended && fread(&record, sizeof record, 1, ended) == 1)
        if (is_watched(record.ac_uid) && !(record.ac_flag & AFORK)) {
            snprintf(line, sizeof line, "ended %u %.16s", record.ac_uid, record.ac_comm);
            once(line);
        }
    printf("scans %lu\n", scans);
}
