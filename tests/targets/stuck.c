/* A tree with a member that SIGKILL doesn't end: it waits for a file system that never answers, in
 * state D.
 * usage: stuck child|root   which of the two is stuck
 *
 * Says "ROOT STUCK", their pids, when that is so, and lets it go when its standard input ends. Ends
 * with 77 and a reason where the file system can't be had.
 *
 * The file system is this program's own, in a mount namespace of its own. It lasts as long as this
 * program's descriptor of /dev/fuse, however the program ends: nothing stays stuck.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CANNOT = 77, LONGEST_LIFE_S = 120, REQUEST_CAPACITY = 128 * 1024, ANSWER_LIMIT_MS = 10000 };

/* There everywhere, and covered in our namespace only. */
static const char folder[] = "/tmp";

static _Noreturn void cannot(const char *what) {
    printf("cannot %s: %s\n", what, strerror(errno));
    exit(CANNOT);
}

/* The next request that isn't one to forget another; its kind. */
static uint32_t take_request(int fuse, uint64_t *id) {
    static char request[REQUEST_CAPACITY];
    struct pollfd ready = {.fd = fuse, .events = POLLIN};
    if (poll(&ready, 1, ANSWER_LIMIT_MS) != 1 || read(fuse, request, sizeof request) < 0)
        cannot("take a request of the file system");
    const struct fuse_in_header *header = (const void *)request;
    *id = header->unique;
    return header->opcode;
}

static void take_init(int fuse) {
    uint64_t id;
    if (take_request(fuse, &id) != FUSE_INIT)
        cannot("begin the file system");
    struct {
        struct fuse_out_header header;
        struct fuse_init_out init;
    } answer = {
        .header = {.len = sizeof answer, .unique = id},
        .init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096},
    };
    if (write(fuse, &answer, sizeof answer) != sizeof answer)
        cannot("answer the file system");
}

static int mount_silent(void) {
    char options[128];
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0)
        cannot("open /dev/fuse");
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        cannot("have a mount namespace");
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d", fuse,
             (int)getuid(), (int)getgid());
    if (mount("procinspect-test", folder, "fuse.test", MS_NOSUID, options) != 0)
        cannot("mount a file system");
    take_init(fuse);
    return fuse;
}

static _Noreturn void stay(void) {
    alarm(LONGEST_LIFE_S);
    for (;;)
        pause();
}

static _Noreturn void get_stuck(void) {
    char path[sizeof folder + 8];
    struct stat about;
    snprintf(path, sizeof path, "%s/file", folder);
    (void)!stat(path, &about);
    stay();
}

/* Both children of the root are killed with it; one may be stuck. */
static _Noreturn void be_root(bool root_is_stuck, int said) {
    pid_t pids[2] = {getpid(), getpid()};
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (i == 1 && !root_is_stuck)
                get_stuck();
            stay();
        }
        if (child > 0 && !root_is_stuck)
            pids[1] = child;
    }
    (void)!write(said, pids, sizeof pids);
    if (root_is_stuck)
        get_stuck();
    stay();
}

int main(int argc, char **argv) {
    int said[2];
    pid_t pids[2];
    uint64_t id;
    char byte;
    if (argc != 2)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    alarm(LONGEST_LIFE_S);
    int fuse = mount_silent();
    if (pipe2(said, O_CLOEXEC) != 0)
        return 3;
    pid_t root = fork();
    if (root == 0) {
        close(fuse);
        be_root(strcmp(argv[1], "root") == 0, said[1]);
    }
    if (root < 0 || read(said[0], pids, sizeof pids) != sizeof pids)
        return 4;
    while (take_request(fuse, &id) != FUSE_LOOKUP)
        ;
    printf("%d %d\n", (int)pids[0], (int)pids[1]);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}
