/* A kill that meets a member which can't be traced, or whose code can't be read, because that waits
 * for a file system that doesn't answer, goes on without. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill/restrict.h"
#include "platform/fuse_mount.h"

enum {
    WAIT_STEPS = 20000,
    RESTRICTS_NOT = 77,
    LONGEST_HANG_S = 40, /* 5 s, where the machine isn't busy; it was more than 60 s */
    LONG_END_S = 9,      /* more than a hang takes */
    LONG_GRACE_MS = 14000
};

static const char program[] = "#!/bin/true\n";

/* What the trees of this file and their test share. */
typedef struct board {
    atomic_int ready;
    atomic_int is_done; /* the root had the time that it takes to end, and was asked once */
    pid_t hangs, deaf, dead;
} board;

static board *shared;

static void sleep_us(long us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* Should the test have ended before. */
static void end_some_day(void) {
    alarm(LONGEST_HANG_S * 2);
}

static fuse_mount start_file_system(void) {
    memset(shared, 0, sizeof *shared);
    fuse_mount mount = fuse_start(program, sizeof program - 1);
    atomic_store(&mount.board->answers_no_read, 1);
    return mount;
}

static void wait_until_one_hangs(const fuse_mount *mount) {
    for (int i = 0; i < WAIT_STEPS && atomic_load(&mount->board->reads_unanswered) == 0; i++)
        sleep_us(500);
    assert_true(atomic_load(&mount->board->reads_unanswered) > 0);
}

static void wait_until_ready(void) {
    for (int i = 0; i < WAIT_STEPS && atomic_load(&shared->ready) == 0; i++)
        sleep_us(500);
    assert_int_equal(atomic_load(&shared->ready), 1);
}

static procinspect_kill_options options_of(uint32_t grace_ms) {
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.timeout_ms = 2000;
    options.grace_ms = grace_ms;
    return options;
}

static void end_all(pid_t root) {
    kill(root, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static _Noreturn void hang_in_execve(const char *path) {
    end_some_day();
    execl(path, "program", (char *)NULL);
    _exit(1);
}

static void a_member_in_an_execve(void **state) {
    (void)state;
    fuse_mount mount = start_file_system();
    pid_t root = fork();
    if (root == 0) {
        end_some_day();
        if (fork() == 0)
            hang_in_execve(mount.path);
        for (;;)
            pause();
    }
    wait_until_one_hangs(&mount);
    procinspect_error error = {0};
    const procinspect_kill_options options = options_of(0);
    int32_t code = tree_try_to_end(root, &options, &error);
    if (code != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(waitpid(root, NULL, WNOHANG), root);
    fuse_end(&mount);
    end_all(root);
}

/* Leaves one that hangs, and one that only sleeps, and has a dead child: both hear no SIGTERM. */
static _Noreturn void leave_some(const char *path) {
    end_some_day();
    shared->hangs = fork();
    if (shared->hangs == 0) {
        signal(SIGTERM, SIG_IGN);
        hang_in_execve(path);
    }
    shared->deaf = fork();
    if (shared->deaf == 0) {
        end_some_day();
        signal(SIGTERM, SIG_IGN);
        shared->dead = fork();
        if (shared->dead == 0)
            _exit(0);
        siginfo_t end;
        waitid(P_PID, (id_t)shared->dead, &end, WEXITED | WNOWAIT);
        atomic_store(&shared->ready, 1);
    }
    for (;;)
        pause();
}

/* The attempt that is ended for the one that hangs has seen the root end: its other members are in
 * no tree any more. Where the kernel's events aren't sure it is ended before that, and the other
 * attempt finds the root. */
static void a_root_that_ends_before(void **state) {
    (void)state;
    fuse_mount mount = start_file_system();
    pid_t root = fork();
    if (root == 0)
        leave_some(mount.path);
    wait_until_one_hangs(&mount);
    wait_until_ready();
    const procinspect_kill_options options = options_of(500);
    static tree_log log;
    const tree_run run = {.log = &log, .root = root};
    const procinspect_kill_report *report = tree_end(&run, &options);
    assert_int_equal(report->count, 4);
    assert_int_equal(report->items[0]->pid, root);
    assert_int_equal(report->ended_count, 2);
    assert_int_equal(report->already_gone_count, 1);
    assert_int_equal(report->survived_count, 1); /* it ends when the file system does */
    assert_false(report->is_exact);              /* nobody heard the forks between the attempts */
    assert_int_not_equal(tree_state(shared->hangs, NULL), 'Z');
    char left = tree_state(shared->deaf, NULL);
    assert_true(left == 'Z' || left == '?');
    procinspect_kill_report_free(report);
    fuse_end(&mount);
    end_all(root);
    for (int i = 0; i < WAIT_STEPS && tree_goes_on(shared->hangs); i++)
        sleep_us(500);
    assert_false(tree_goes_on(shared->hangs));
}

/* Takes its time when it is asked to end, and starts one that hangs in that. Both can't be traced
 * without CAP_SYS_PTRACE. */
static _Noreturn void end_slowly(const char *path) {
    sigset_t asked;
    end_some_day();
    sigemptyset(&asked);
    sigaddset(&asked, SIGTERM);
    sigprocmask(SIG_BLOCK, &asked, NULL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    atomic_store(&shared->ready, 1);
    sigwaitinfo(&asked, NULL);
    sleep_us(200000); /* what it forks before that may be taken for asked */
    if (fork() == 0)
        hang_in_execve(path);
    sleep_us(LONG_END_S * 1000000L);
    sigpending(&asked);
    atomic_store(&shared->is_done, !sigismember(&asked, SIGTERM));
    _exit(0);
}

/* From now on like an ordinary user in this: it may not trace such a process, and its events may be
 * lost. */
static bool drop_rights(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, rights) != 0)
        return false;
    rights[0].effective &= ~(CAP_TO_MASK(CAP_SYS_PTRACE) | CAP_TO_MASK(CAP_NET_ADMIN));
    rights[0].permitted = rights[0].effective;
    return syscall(SYS_capset, &header, rights) == 0;
}

/* The one that hangs costs nobody the rest of the grace, and nobody is asked twice. */
static void a_grace(void **state) {
    (void)state;
    fuse_mount mount = start_file_system();
    pid_t root = fork();
    if (root == 0)
        end_slowly(mount.path);
    wait_until_ready();
    pid_t host = fork();
    if (host == 0) {
        procinspect_error error;
        const procinspect_kill_options options = options_of(LONG_GRACE_MS);
        _exit(drop_rights() ? tree_try_to_end(root, &options, &error) : RESTRICTS_NOT);
    }
    int status = 0;
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_int_equal(status, 0);
    assert_true(atomic_load(&mount.board->reads_unanswered) > 0);
    assert_int_equal(atomic_load(&shared->is_done), 1);
    fuse_end(&mount);
    end_all(root);
}

/* Sleeps in code that is mapped from the file: only the page that it runs in is there. */
static _Noreturn void sleep_in(const char *path, size_t length) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    void *code = mmap(NULL, length, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    void (*run)(void);
    memcpy(&run, &code, sizeof run);
    if (file < 0 || code == MAP_FAILED || madvise(code, length, MADV_RANDOM) != 0)
        _exit(1);
    unsigned first = *(volatile unsigned char *)code;
    atomic_store(&shared->ready, first != 0);
    while (atomic_load(&shared->ready) != 2)
        sleep_us(500);
    run();
    _exit(2);
}

/* That it is in the call of the code below. */
static bool is_in_pause(pid_t pid) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    bool is_read = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    return is_read && strtol(text, NULL, 10) == SYS_pause;
}

static void code_that_can_not_be_read(void **state) {
    (void)state;
    /* 0: mov $SYS_pause, %eax; syscall; jmp 0 */
    static const unsigned char loop[] = {0xb8, SYS_pause, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};
    static unsigned char code[1 << 20];
    memcpy(code, loop, sizeof loop);
    memset(shared, 0, sizeof *shared);
    fuse_mount mount = fuse_start(code, sizeof code);
    atomic_store(&mount.board->answers_flushes, 1);
    pid_t root = fork();
    if (root == 0)
        sleep_in(mount.path, sizeof code);
    wait_until_ready();
    atomic_store(&mount.board->answers_no_read, 1);
    atomic_store(&shared->ready, 2);
    for (int i = 0; i < WAIT_STEPS && !is_in_pause(root); i++)
        sleep_us(500);
    assert_true(is_in_pause(root));
    procinspect_error error = {0};
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    time_t begin = time(NULL);
    pid_t host = fork();
    if (host == 0)
        _exit(restrict_events() ? tree_try_to_end(root, &options, &error) : RESTRICTS_NOT);
    int status = 0;
    assert_int_equal(waitpid(host, &status, 0), host);
    if (WIFEXITED(status) && WEXITSTATUS(status) == RESTRICTS_NOT) {
        fuse_end(&mount);
        end_all(root);
        skip();
    }
    assert_int_equal(status, 0);
    assert_true(time(NULL) - begin < LONGEST_HANG_S);
    assert_int_equal(tree_state(root, NULL), 'Z'); /* traced by what hangs until that ends */
    fuse_end(&mount);
    end_all(root);
}

static int set_up(void **state) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED || tree_run_setup(state) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_in_an_execve),
        cmocka_unit_test(a_root_that_ends_before),
        cmocka_unit_test(a_grace),
        cmocka_unit_test(code_that_can_not_be_read),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
