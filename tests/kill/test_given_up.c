/* A kill that is cancelled leaves everything as it was; one that meets a member which can't be
 * traced, because its execve waits for a file system that doesn't answer, goes on without. */
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
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/fuse_mount.h"

enum {
    FEW = 40,
    MANY = 1000,
    SLEEPERS = 6,
    GRACE_MS = 60000,
    LONGEST_DELAY_US = 30000,
    WAIT_STEPS = 20000
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

static _Noreturn void be_root(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
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

static int32_t kill_with(pid_t root, procinspect_kill_options *options, procinspect_error *error) {
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    const procinspect_kill_report *report = NULL;
    int32_t code = procinspect_process_open(context, root, &process, error);
    if (code == PROCINSPECT_OK)
        code = procinspect_kill_tree(process, options, &report, error);
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return code;
}

static void assert_runs_on(pid_t root) {
    int looks = atomic_load(&shared->looks);
    for (int i = 0; i < WAIT_STEPS && atomic_load(&shared->looks) < looks + 3; i++)
        sleep_us(500);
    assert_true(atomic_load(&shared->looks) >= looks + 3);
    assert_int_equal(atomic_load(&shared->is_reaper), 0);
    assert_int_equal(atomic_load(&shared->interrupted), 0);
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

static void what_is_cancelled_before_it_begins_kills_nobody(void **state) {
    (void)state;
    pid_t root = start_root();
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        procinspect_error error = {0};
        procinspect_kill_options options;
        procinspect_kill_options_init(&options, sizeof options);
        assert_int_equal(procinspect_cancellation_new(&options.cancellation, NULL), 0);
        procinspect_cancellation_request(options.cancellation);
        assert_int_equal(kill_with(root, &options, &error), PROCINSPECT_ERROR_CANCELLED);
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
        int32_t code = kill_with(root, &options, &error);
        pthread_join(thread, NULL);
        procinspect_cancellation_free(options.cancellation);
        assert_int_equal(code, PROCINSPECT_ERROR_CANCELLED);
        assert_runs_on(root);
        end_root(root);
    }
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
    int32_t code = kill_with(hanging, &options, &error);
    if (code != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(waitpid(hanging, NULL, WNOHANG), hanging);
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
        cmocka_unit_test(a_member_in_an_execve_that_hangs),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
