/* A kill that is cancelled leaves everything as it was; one that meets a member which can't be
 * traced, or whose code can't be read, because that waits for a file system that doesn't answer,
 * goes on without. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill/restrict.h"
#include "platform/fuse_mount.h"

enum {
    FEW = 40,
    MANY = 1000,
    SLEEPERS = 6,
    MAPPINGS = 200,
    GRACE_MS = 60000,
    LONGEST_DELAY_US = 30000,
    WAIT_STEPS = 20000,
    RESTRICTS_NOT = 77,
    LONGEST_HANG_S = 40 /* 5 s, where the machine isn't busy; it was more than 60 s */
};

/* What the trees of this file and their test share. */
typedef struct board {
    atomic_int ready;
    atomic_int interrupted; /* waits that ended before their time */
    atomic_int is_reaper;   /* the root looked, and is one */
    atomic_int looks;       /* how often it has looked */
    pid_t sleepers[SLEEPERS];
} board;

static board *shared;

static void sleep_us(long us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* Its wait answers a bare EINTR to whatever interrupts it. */
static _Noreturn void wait_for_events(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    atomic_fetch_add(&shared->ready, 1);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) < 0)
            atomic_fetch_add(&shared->interrupted, 1);
    }
}

/* Libc is then behind what the kernel tells of its mappings at once. */
static void have_many_mappings(void) {
    enum { PAGE = 4096 };
    for (int i = 0; i < MAPPINGS; i++)
        if (mmap(NULL, PAGE, i % 2 == 0 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0) == MAP_FAILED)
            _exit(1);
}

static _Noreturn void be_root(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    have_many_mappings();
    signal(SIGTERM, SIG_IGN); /* which then interrupts nothing */
    for (int i = 0; i < SLEEPERS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            wait_for_events();
        }
        shared->sleepers[i] = pid;
    }
    for (;;) {
        int is_reaper = 0;
        prctl(PR_GET_CHILD_SUBREAPER, &is_reaper, 0, 0, 0);
        atomic_store(&shared->is_reaper, is_reaper);
        atomic_fetch_add(&shared->looks, 1);
        sleep_us(100);
    }
}

static pid_t start_root(void) {
    memset(shared, 0, sizeof *shared);
    pid_t root = fork();
    assert_true(root >= 0);
    if (root == 0)
        be_root();
    for (int i = 0; i < WAIT_STEPS && atomic_load(&shared->ready) < SLEEPERS; i++)
        sleep_us(500);
    assert_int_equal(atomic_load(&shared->ready), SLEEPERS);
    return root;
}

static void end_root(pid_t root) {
    kill(root, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void *request_soon(void *cancellation) {
    sleep_us(rand() % LONGEST_DELAY_US);
    procinspect_cancellation_request(cancellation);
    return NULL;
}

static void assert_is_as_before(pid_t root) {
    int looks = atomic_load(&shared->looks);
    for (int i = 0; i < WAIT_STEPS && atomic_load(&shared->looks) < looks + 3; i++)
        sleep_us(500);
    assert_true(atomic_load(&shared->looks) >= looks + 3);
    assert_int_equal(atomic_load(&shared->is_reaper), 0);
    assert_int_not_equal(tree_state(root, NULL), '?');
    for (int i = 0; i < SLEEPERS; i++) {
        char state = 't';
        for (int step = 0; step < WAIT_STEPS && (state == 't' || state == 'T'); step++) {
            sleep_us(100);
            state = tree_state(shared->sleepers[i], NULL);
        }
        assert_true(state == 'S' || state == 'R' || state == 'D');
    }
}

static void assert_runs_on(pid_t root) {
    assert_is_as_before(root);
    assert_int_equal(atomic_load(&shared->interrupted), 0);
}

static void what_is_cancelled_before_it_begins_kills_nobody(void **state) {
    (void)state;
    pid_t root = start_root();
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        procinspect_error error = {0};
        procinspect_kill_options options;
        procinspect_kill_options_init(&options, sizeof options);
        assert_int_equal(procinspect_cancellation_new(&options.cancellation, NULL), 0);
        procinspect_cancellation_request(options.cancellation);
        assert_int_equal(tree_try_to_end(root, &options, &error), PROCINSPECT_ERROR_CANCELLED);
        procinspect_cancellation_free(options.cancellation);
    }
    assert_runs_on(root);
    end_root(root);
}

/* In the grace, mostly, in which the members are traced, or not, and run. */
static void what_is_cancelled_midway_leaves_no_trace(void **state) {
    (void)state;
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        pid_t root = start_root();
        procinspect_error error = {0};
        procinspect_kill_options options;
        procinspect_kill_options_init(&options, sizeof options);
        assert_int_equal(procinspect_cancellation_new(&options.cancellation, NULL), 0);
        options.grace_ms = GRACE_MS;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, request_soon, options.cancellation), 0);
        int32_t code = tree_try_to_end(root, &options, &error);
        pthread_join(thread, NULL);
        procinspect_cancellation_free(options.cancellation);
        assert_int_equal(code, PROCINSPECT_ERROR_CANCELLED);
        assert_runs_on(root);
        end_root(root);
    }
}

/* A host that hears of no events: its helper has the root adopt orphans, and is killed at that, or
 * in the grace. */
static pid_t start_host(pid_t root) {
    procinspect_error error;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.grace_ms = GRACE_MS;
    pid_t host = fork();
    assert_true(host >= 0);
    if (host == 0) {
        if (!restrict_events())
            _exit(RESTRICTS_NOT);
        _exit(tree_try_to_end(root, &options, &error) == PROCINSPECT_ERROR_IO ? 0 : 1);
    }
    return host;
}

static void a_helper_that_is_killed_leaves_no_trace(void **state) {
    (void)state;
    int adopted = 0, runs = tree_runs(FEW, MANY);
    if (!tree_may_be_traced())
        skip();
    for (int i = 0; i < runs; i++) {
        pid_t root = start_root(), host = start_host(root), helper = 0;
        int status = 0;
        while ((helper = tree_child_of(host)) == 0 && waitpid(host, &status, WNOHANG) == 0)
            sleep_us(100);
        if (i % 2 == 0)
            sleep_us(rand() % LONGEST_DELAY_US);
        for (int step = 0; i % 2 == 1 && step < WAIT_STEPS && !atomic_load(&shared->is_reaper);
             step++)
            sleep_us(100);
        adopted += atomic_load(&shared->is_reaper);
        if (helper != 0) {
            kill(helper, SIGKILL);
            assert_int_equal(waitpid(host, &status, 0), host);
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == RESTRICTS_NOT) {
            end_root(root);
            skip();
        }
        assert_int_equal(status, 0);
        assert_is_as_before(root);
        end_root(root);
    }
    assert_true(adopted >= runs / 2);
}

static void a_member_in_an_execve_that_hangs(void **state) {
    (void)state;
    static const char program[] = "#!/bin/true\n";
    fuse_mount mount = fuse_start(program, sizeof program - 1);
    atomic_store(&mount.board->answers_no_read, 1);
    pid_t root = start_root();
    pid_t hanging = fork(); /* a tree of its own: a child that hangs */
    if (hanging == 0) {
        if (fork() == 0) {
            execl(mount.path, "program", (char *)NULL);
            _exit(1);
        }
        for (;;)
            pause();
    }
    for (int i = 0; i < WAIT_STEPS && atomic_load(&mount.board->reads_unanswered) == 0; i++)
        sleep_us(500);
    assert_true(atomic_load(&mount.board->reads_unanswered) > 0);
    procinspect_error error = {0};
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.timeout_ms = 2000;
    int32_t code = tree_try_to_end(hanging, &options, &error);
    if (code != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(waitpid(hanging, NULL, WNOHANG), hanging);
    fuse_end(&mount);
    end_root(root);
}

/* Ends when it is asked to, and leaves one that hangs in an execve, and one that only sleeps: both
 * hear no SIGTERM. */
static _Noreturn void leave_one_that_hangs(const char *path) {
    alarm(LONGEST_HANG_S * 2); /* should the test have ended before that */
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid != 0) {
            shared->sleepers[i] = pid;
            continue;
        }
        alarm(LONGEST_HANG_S * 2);
        signal(SIGTERM, SIG_IGN);
        atomic_fetch_add(&shared->ready, 1);
        if (i == 0)
            execl(path, "program", (char *)NULL);
        for (;;)
            pause();
    }
    for (;;)
        pause();
}

/* The attempt that is ended for the one that hangs has seen the root end: its other members are in
 * no tree any more. Where the kernel's events aren't sure it is ended before that, and the other
 * attempt finds the root. */
static void a_root_that_ends_before_one_hangs(void **state) {
    (void)state;
    static const char program[] = "#!/bin/true\n";
    memset(shared, 0, sizeof *shared);
    fuse_mount mount = fuse_start(program, sizeof program - 1);
    atomic_store(&mount.board->answers_no_read, 1);
    pid_t root = fork();
    if (root == 0)
        leave_one_that_hangs(mount.path);
    for (int i = 0; i < WAIT_STEPS && (atomic_load(&mount.board->reads_unanswered) == 0 ||
                                       atomic_load(&shared->ready) != 2);
         i++)
        sleep_us(500);
    assert_true(atomic_load(&mount.board->reads_unanswered) > 0);
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.timeout_ms = 2000;
    options.grace_ms = 500;
    static tree_log log;
    const tree_run run = {.log = &log, .root = root};
    const procinspect_kill_report *report = tree_end(&run, &options);
    assert_int_equal(report->count, 3);
    assert_int_equal(report->items[0]->pid, root);
    assert_int_equal(report->ended_count, 2);
    assert_int_equal(report->survived_count, 1); /* it ends when the file system does */
    assert_int_not_equal(tree_state(shared->sleepers[0], NULL), 'Z');
    char left = tree_state(shared->sleepers[1], NULL);
    assert_true(left == 'Z' || left == '?');
    procinspect_kill_report_free(report);
    fuse_end(&mount);
    end_root(root);
    for (int i = 0; i < WAIT_STEPS && tree_goes_on(shared->sleepers[0]); i++)
        sleep_us(500);
    assert_false(tree_goes_on(shared->sleepers[0]));
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

static void a_root_whose_code_can_not_be_read(void **state) {
    (void)state;
    /* 0: mov $SYS_pause, %eax; syscall; jmp 0 */
    static const unsigned char loop[] = {0xb8, SYS_pause, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};
    static unsigned char program[1 << 20];
    memcpy(program, loop, sizeof loop);
    memset(shared, 0, sizeof *shared);
    fuse_mount mount = fuse_start(program, sizeof program);
    atomic_store(&mount.board->answers_flushes, 1);
    pid_t root = fork();
    if (root == 0)
        sleep_in(mount.path, sizeof program);
    for (int i = 0; i < WAIT_STEPS && atomic_load(&shared->ready) == 0; i++)
        sleep_us(500);
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
        end_root(root);
        skip();
    }
    assert_int_equal(status, 0);
    assert_true(time(NULL) - begin < LONGEST_HANG_S);
    assert_int_equal(tree_state(root, NULL), 'Z'); /* traced by what hangs until that ends */
    fuse_end(&mount);
    end_root(root);
}

static int set_up(void **state) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED || tree_run_setup(state) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cancelled_before_it_begins_kills_nobody),
        cmocka_unit_test(what_is_cancelled_midway_leaves_no_trace),
        cmocka_unit_test(a_helper_that_is_killed_leaves_no_trace),
        cmocka_unit_test(a_member_in_an_execve_that_hangs),
        cmocka_unit_test(a_root_that_ends_before_one_hangs),
        cmocka_unit_test(a_root_whose_code_can_not_be_read),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
