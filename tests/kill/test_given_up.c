/* A kill that is cancelled, or whose helper is killed, leaves everything as it was. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill/restrict.h"

enum {
    FEW = 40,
    MANY = 1000,
    SLEEPERS = 6,
    MAPPINGS = 200,
    GRACE_MS = 60000,
    LONGEST_DELAY_US = 30000,
    WAIT_STEPS = 20000,
    RESTRICTS_NOT = 77
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

static int set_up(void **state) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED || tree_run_setup(state) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cancelled_before_it_begins_kills_nobody),
        cmocka_unit_test(what_is_cancelled_midway_leaves_no_trace),
        cmocka_unit_test(a_helper_that_is_killed_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
