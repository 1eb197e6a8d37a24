/* What captures leave in the host: nothing. And the host itself as the target. */
#include "platform/capture_child.h"

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
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 200, OWN_THREADS = 12, KILLS = 50, SMALL_STACK = 64 * 1024 };

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
    /* A capture that left one would have left 100; the allocator, a sanitizer's above all, keeps
     * some of its own. */
    assert_true(count_lines_of("/proc/self/maps") < mappings + 50);
    sigaction(SIGCHLD, &before, NULL);
    child_end(&child);
}

/* A host that takes no interest in its children at all. */
static void test_a_host_that_ignores_its_children(void **state) {
    struct sigaction action = {.sa_handler = SIG_IGN, .sa_flags = SA_NOCLDSTOP | SA_NOCLDWAIT};
    struct sigaction before;
    (void)state;
    test_child child = child_start(beating_body);
    assert_int_equal(sigaction(SIGCHLD, &action, &before), 0);
    for (int i = 0; i < 10; i++) {
        pi_snapshot *snapshot = capture_child(&child);
        assert_true(snapshot->report.pause_ns < 3000000000);
        pi_snapshot_free(snapshot);
    }
    assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
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

typedef struct capture_loop {
    const pi_process *process;
    atomic_int tid;
    atomic_bool must_end;
    atomic_uint captured;
    atomic_uint failed;
    atomic_bool is_wrong;
    procinspect_error error;
} capture_loop;

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
        usleep(delay / 65536 % 4000);
        kill(helper, SIGKILL);
    }
}

static void test_a_helper_that_is_killed(void **state) {
    unsigned kills = getenv("PROCINSPECT_TEST_SOAK") != NULL ? 40 * KILLS : KILLS;
    pthread_t thread;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(many_body);
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

/* --- The own process --- */

static atomic_bool own_threads_must_end;

/* Holds locks of libc, and calls it, when it is stopped. */
static void *work(void *argument) {
    (void)argument;
    while (!atomic_load(&own_threads_must_end)) {
        void *memory[16];
        for (int i = 0; i < 16; i++)
            memory[i] = malloc(1000 + (size_t)i * 10000);
        for (int i = 0; i < 16; i++)
            free(memory[i]);
        char text[64];
        snprintf(text, sizeof text, "%d", rand());
    }
    return NULL;
}

static void test_the_own_process(void **state) {
    pthread_t threads[OWN_THREADS];
    pi_system *system;
    pi_process *process;
    procinspect_error error;
    (void)state;
    volatile char marks[64] = "on the stack of the calling thread";
    atomic_store(&own_threads_must_end, false);
    for (int i = 0; i < OWN_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, getpid(), &process, NULL), 0);
    for (int i = 0; i < 20; i++) {
        char bytes[sizeof marks];
        pi_capture_request request = default_request();
        pi_snapshot *snapshot;
        if (pi_capture(process, &request, &snapshot, &error) != 0)
            fail_msg("%d: %s", error.code, error.message);
        assert_sound_snapshot(snapshot);
        assert_int_equal(snapshot->report.thread_count, OWN_THREADS + 1);
        assert_int_equal(snapshot->report.note_count, 0);
        assert_int_equal(
            snapshot->source->read(snapshot->source, (uintptr_t)marks, bytes, sizeof bytes, NULL),
            0);
        assert_string_equal(bytes, "on the stack of the calling thread");
        pi_snapshot_free(snapshot);
    }
    atomic_store(&own_threads_must_end, true);
    for (int i = 0; i < OWN_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
    pi_process_close(process);
    pi_system_close(system);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_a_host_that_ignores_its_children),
        cmocka_unit_test(test_a_helper_that_is_killed),
        cmocka_unit_test(test_a_helper_that_another_thread_waits_for),
        cmocka_unit_test(test_a_host_that_is_killed),
        cmocka_unit_test(test_the_own_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
