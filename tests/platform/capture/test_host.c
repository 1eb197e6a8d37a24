/* What captures leave in the host: nothing. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 200, KILLS = 50, SMALL_STACK = 64 * 1024 };

/* What the allocator may keep of its own after a hundred captures; a capture that left a mapping
 * would have left a hundred. */
#ifdef __SANITIZE_ADDRESS__
enum { ALLOCATOR_MAPPINGS = 50 };
#else
enum { ALLOCATOR_MAPPINGS = 4 };
#endif

static atomic_int child_signals;

static void count_child_signal(int number) {
    (void)number;
    atomic_fetch_add(&child_signals, 1);
}

static void many_body(child_board *board) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SMALL_STACK);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread, &attributes, beat, board);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void test_nothing_is_left(void **state) {
    struct sigaction action = {.sa_handler = count_child_signal}, before;
    (void)state;
    test_child child = child_start(many_body);
    pi_snapshot_free(capture_child(&child));
    assert_int_equal(sigaction(SIGCHLD, &action, &before), 0);
    size_t descriptors = count_descriptors();
    size_t mappings = count_lines_of("/proc/self/maps");
    atomic_store(&child_signals, 0);
    for (int i = 0; i < 100; i++) {
        sigset_t blocked, mask;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        pthread_sigmask(SIG_SETMASK, &blocked, NULL);
        pi_snapshot_free(capture_child(&child));
        /* The mask is as it was. */
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        assert_true(sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));
        sigemptyset(&blocked);
        pthread_sigmask(SIG_SETMASK, &blocked, NULL);
        /* No zombie, not even one that only __WALL shows; the child lives. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), 0);
    }
    assert_int_equal(atomic_load(&child_signals), 0);
    assert_int_equal(count_descriptors(), descriptors);
    assert_true(count_lines_of("/proc/self/maps") <= mappings + ALLOCATOR_MAPPINGS);
    sigaction(SIGCHLD, &before, NULL);
    child_end(&child);
}

/* How long the stops took. */
static uint64_t stop_ns(const test_child *child) {
    pi_snapshot *snapshot = capture_child(child);
    uint64_t ns = snapshot->report.pause_stop_ns;
    pi_snapshot_free(snapshot);
    return ns;
}

/* A host that takes no interest in its children at all: the helper hears of its stops all the same,
 * and need not look for them now and then, which would take longer each time. */
static void test_a_host_that_ignores_its_children(void **state) {
    struct sigaction action = {.sa_handler = SIG_IGN, .sa_flags = SA_NOCLDSTOP | SA_NOCLDWAIT};
    struct sigaction before;
    uint64_t longest_ns = 0, shortest_ignored_ns = UINT64_MAX;
    (void)state;
    test_child child = child_start(beating_body);
    for (int i = 0; i < 10; i++) {
        uint64_t ns = stop_ns(&child);
        longest_ns = ns > longest_ns ? ns : longest_ns;
        assert_int_equal(sigaction(SIGCHLD, &action, &before), 0);
        ns = stop_ns(&child);
        shortest_ignored_ns = ns < shortest_ignored_ns ? ns : shortest_ignored_ns;
        assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
    }
    assert_true(shortest_ignored_ns <= longest_ns);
    child_end(&child);
}

/* --- Two dumps of one process at once --- */

typedef struct capture_loop {
    const pi_process *process;
    atomic_int tid;
    atomic_bool must_end;
    atomic_uint captured;
    atomic_uint failed;
    atomic_bool is_wrong;
    procinspect_error error;
} capture_loop;

enum { AT_ONCE = 4, CAPTURES_EACH = 25 };

static void *capture_several(void *argument) {
    capture_loop *loop = argument;
    pi_capture_request request = default_request();
    for (int i = 0; i < CAPTURES_EACH && !atomic_load(&loop->is_wrong); i++) {
        pi_snapshot *snapshot;
        if (pi_capture(loop->process, &request, &snapshot, &loop->error) == 0)
            pi_snapshot_free(snapshot);
        else
            atomic_store(&loop->is_wrong, true);
    }
    return NULL;
}

static void test_dumps_of_one_process_wait_for_each_other(void **state) {
    capture_loop loops[AT_ONCE] = {0};
    pthread_t threads[AT_ONCE];
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(beating_body);
    for (int i = 0; i < AT_ONCE; i++) {
        loops[i].process = child.process;
        assert_int_equal(pthread_create(&threads[i], NULL, capture_several, &loops[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < AT_ONCE; i++)
        if (atomic_load(&loops[i].is_wrong))
            fail_msg("%d: %s", loops[i].error.code, loops[i].error.message);
    assert_beats(&child);
    child_end(&child);
}

/* Sleeps in vfork, where it can't be stopped: a dump waits 100 ms before it gives up on it. */
static void slow_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, beat, board);
    if (vfork() == 0) {
        atomic_store(&board->pids[0], (int)getpid());
        atomic_store(&board->ready, 1);
        for (;;)
            syscall(SYS_pause);
    }
}

static void test_a_dump_that_waits_too_long_for_another(void **state) {
    bool has_waited = false;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(slow_body);
    for (int i = 0; i < 50 && !has_waited; i++) {
        capture_loop other = {.process = child.process};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, capture_several, &other), 0);
        pi_capture_request request = default_request();
        request.max_pause_ms = 10;
        pi_snapshot *snapshot;
        procinspect_error error;
        sleep_ms(20 + i);
        int32_t code = pi_capture(child.process, &request, &snapshot, &error);
        if (code == 0)
            pi_snapshot_free(snapshot);
        else if (code == PROCINSPECT_ERROR_TRACED)
            has_waited = strstr(error.message, "This host is dumping") != NULL;
        else
            assert_int_equal(code, PROCINSPECT_ERROR_TIMED_OUT);
        pthread_join(thread, NULL);
        if (atomic_load(&other.is_wrong))
            fail_msg("%d: %s", other.error.code, other.error.message);
    }
    assert_true(has_waited);
    kill(atomic_load(&child.board->pids[0]), SIGKILL);
    child_end(&child);
}

/* --- Somebody else takes the helper away --- */

/* The child of this thread's that has no exit signal; 0 for none. */
static pid_t find_helper(pid_t capturing_thread) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)capturing_thread);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    return atoi(text);
}

static void *capture_on_and_on(void *argument) {
    capture_loop *loop = argument;
    pi_capture_request request = default_request();
    atomic_store(&loop->tid, (int)gettid());
    while (!atomic_load(&loop->must_end)) {
        pi_snapshot *snapshot;
        int32_t code = pi_capture(loop->process, &request, &snapshot, &loop->error);
        if (code == 0) {
            atomic_fetch_add(&loop->captured, 1);
            pi_snapshot_free(snapshot);
        } else if (code == PROCINSPECT_ERROR_IO && strstr(loop->error.message, "signal 9")) {
            atomic_fetch_add(&loop->failed, 1);
        } else {
            atomic_store(&loop->is_wrong, true);
            break;
        }
    }
    return NULL;
}

static void kill_helpers(const capture_loop *loop, unsigned kills) {
    unsigned delay = 1;
    for (int i = 0; i < 60000 && atomic_load(&loop->failed) < kills; i++) {
        pid_t helper = find_helper(atomic_load(&loop->tid));
        if (helper == 0) {
            usleep(50);
            continue;
        }
        /* Somewhere between its start and its end. */
        delay = delay * 1103515245 + 12345;
        int pidfd = (int)syscall(SYS_pidfd_open, helper, 0);
        bool is_helper = pidfd >= 0 && find_helper(atomic_load(&loop->tid)) == helper;
        usleep(delay / 65536 % 4000);
        if (is_helper) /* not a later owner of the number */
            syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        if (pidfd >= 0)
            close(pidfd);
    }
}

static void test_a_helper_that_is_killed(void **state) {
    unsigned kills = getenv("PROCINSPECT_TEST_SOAK") != NULL ? 40 * KILLS : KILLS;
    pthread_t thread;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(many_body);
    size_t descriptors = count_descriptors();
    /* The only child that the capturing thread has is its helper. */
    capture_loop loop = {.process = child.process};
    assert_int_equal(pthread_create(&thread, NULL, capture_on_and_on, &loop), 0);
    while (atomic_load(&loop.tid) == 0)
        sleep_ms(1);
    kill_helpers(&loop, kills);
    atomic_store(&loop.must_end, true);
    pthread_join(thread, NULL);
    if (atomic_load(&loop.is_wrong))
        fail_msg("%d: %s", loop.error.code, loop.error.message);
    assert_true(atomic_load(&loop.failed) >= kills);
    print_message("killed %u times, captured %u times\n", atomic_load(&loop.failed),
                  atomic_load(&loop.captured));
    /* None is lost, wherever the kill came: in the midst of the call that opens it, too. */
    assert_int_equal(count_descriptors(), descriptors);
    /* The target goes on, all of it, and can be captured. */
    assert_beats(&child);
    pi_snapshot *snapshot = capture_child(&child);
    assert_int_equal(snapshot->report.thread_count, THREADS + 1);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Another thread that waits for all children, of every kind, and so for ours. */
static void *reap_all(void *argument) {
    atomic_bool *must_end = argument;
    while (!atomic_load(must_end))
        if (waitpid(-1, NULL, __WALL | WNOHANG) <= 0)
            usleep(20);
    return NULL;
}

static void test_a_helper_that_another_thread_waits_for(void **state) {
    atomic_bool must_end = false;
    pthread_t thread;
    (void)state;
    test_child child = child_start(beating_body);
    assert_int_equal(pthread_create(&thread, NULL, reap_all, &must_end), 0);
    for (int i = 0; i < 100; i++)
        pi_snapshot_free(capture_child(&child));
    atomic_store(&must_end, true);
    pthread_join(thread, NULL);
    child_end(&child);
}

/* The host is killed in the midst of its captures; what it captures goes on. */
static void test_a_host_that_is_killed(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(many_body);
    for (int i = 0; i < 20; i++) {
        pid_t host = fork();
        assert_true(host >= 0);
        if (host == 0) {
            capture_loop loop = {.process = child.process};
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            capture_on_and_on(&loop);
            _exit(1);
        }
        sleep_ms(20);
        usleep((useconds_t)(i * 733 % 5000));
        kill(host, SIGKILL);
        assert_int_equal(waitpid(host, NULL, 0), host);
        assert_beats(&child);
    }
    /* Its last helper may have to notice first. */
    pi_capture_request request = default_request();
    pi_snapshot *snapshot = NULL;
    procinspect_error error;
    for (int i = 0; i < 1000 && snapshot == NULL; i++) {
        if (pi_capture(child.process, &request, &snapshot, &error) != 0)
            assert_int_equal(error.code, PROCINSPECT_ERROR_TRACED);
        sleep_ms(1);
    }
    assert_non_null(snapshot);
    assert_int_equal(snapshot->report.thread_count, THREADS + 1);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_a_host_that_ignores_its_children),
        cmocka_unit_test(test_dumps_of_one_process_wait_for_each_other),
        cmocka_unit_test(test_a_dump_that_waits_too_long_for_another),
        cmocka_unit_test(test_a_helper_that_is_killed),
        cmocka_unit_test(test_a_helper_that_another_thread_waits_for),
        cmocka_unit_test(test_a_host_that_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
