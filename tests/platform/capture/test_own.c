/* The host itself as what is captured. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 30, AT_ONCE = 4, TIMES = 10 };

static void open_own(pi_system **system, pi_process **process) {
    assert_int_equal(pi_system_open(NULL, system, NULL), 0);
    assert_int_equal(pi_process_open(*system, getpid(), process, NULL), 0);
}

static atomic_bool threads_must_end;

/* Holds locks of libc, and calls it, when it is stopped. */
static void *work(void *argument) {
    (void)argument;
    while (!atomic_load(&threads_must_end)) {
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
    pthread_t threads[THREADS];
    pi_system *system;
    pi_process *process;
    procinspect_error error;
    (void)state;
    volatile char marks[64] = "on the stack of the calling thread";
    atomic_store(&threads_must_end, false);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    open_own(&system, &process);
    for (int i = 0; i < 50; i++) {
        char bytes[sizeof marks];
        pi_capture_request request = default_request();
        pi_snapshot *snapshot;
        if (pi_capture(process, &request, &snapshot, &error) != 0)
            fail_msg("%d: %s", error.code, error.message);
        assert_sound_snapshot(snapshot);
        assert_int_equal(snapshot->report.thread_count, THREADS + 1);
        assert_int_equal(snapshot->report.note_count, 0);
        assert_int_equal(
            snapshot->source->read(snapshot->source, (uintptr_t)marks, bytes, sizeof bytes, NULL),
            0);
        assert_string_equal(bytes, "on the stack of the calling thread");
        pi_snapshot_free(snapshot);
    }
    atomic_store(&threads_must_end, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
    pi_process_close(process);
    pi_system_close(system);
}

/* --- From several threads, and after a fork --- */

static void *capture_often(void *process) {
    for (int i = 0; i < TIMES; i++) {
        pi_capture_request request = default_request();
        pi_snapshot *snapshot;
        procinspect_error error;
        if (pi_capture(process, &request, &snapshot, &error) != 0)
            return strdup(error.message);
        pi_snapshot_free(snapshot);
    }
    return NULL;
}

static void test_the_own_process_by_several_at_once(void **state) {
    pthread_t threads[AT_ONCE];
    pi_system *system;
    pi_process *process;
    (void)state;
    open_own(&system, &process);
    for (int i = 0; i < AT_ONCE; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, capture_often, process), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        void *message;
        pthread_join(threads[i], &message);
        if (message != NULL)
            fail_msg("%s", (char *)message);
    }
    pi_process_close(process);
    pi_system_close(system);
}

/* Captures one after the other, and waits for the fork in each. */
typedef struct turn_holder {
    atomic_int has_turn; /* and waits until this is 0 again */
    atomic_bool must_end;
    int32_t code;
    procinspect_error error;
} turn_holder;

static turn_holder holder;

static int32_t wait_with_turn(const pi_snapshot *snapshot, const void *user,
                              procinspect_error *error) {
    (void)snapshot;
    (void)user;
    (void)error;
    if (atomic_load(&holder.must_end))
        return 0;
    atomic_store(&holder.has_turn, 1);
    while (atomic_load(&holder.has_turn) != 0)
        usleep(50);
    return 0;
}

static void *capture_with_forks(void *argument) {
    pi_capture_request request = default_request();
    request.accept = wait_with_turn;
    while (holder.code == 0 && !atomic_load(&holder.must_end)) {
        pi_snapshot *snapshot;
        holder.code = pi_capture(argument, &request, &snapshot, &holder.error);
        if (holder.code == 0)
            pi_snapshot_free(snapshot);
    }
    return NULL;
}

/* The child has no such thread as has the turn. It is in no call of the allocator's, which under
 * the address sanitizer a fork would leave locked. */
static void test_the_own_process_after_a_fork(void **state) {
    pthread_t thread;
    pi_system *system;
    pi_process *process;
    (void)state;
    open_own(&system, &process);
    assert_int_equal(pthread_create(&thread, NULL, capture_with_forks, process), 0);
    for (int i = 0; i < 2 * TIMES; i++) {
        int status;
        if (!wait_until(&holder.has_turn))
            fail_msg("%d: %s", holder.code, holder.error.message);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            alarm(20);
            open_own(&system, &process);
            pi_capture_request request = default_request();
            pi_snapshot *snapshot;
            _exit(pi_capture(process, &request, &snapshot, NULL) != 0);
        }
        if (i + 1 == 2 * TIMES)
            atomic_store(&holder.must_end, true);
        atomic_store(&holder.has_turn, 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    pthread_join(thread, NULL);
    if (holder.code != 0)
        fail_msg("%d: %s", holder.code, holder.error.message);
    pi_process_close(process);
    pi_system_close(system);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_own_process),
        cmocka_unit_test(test_the_own_process_by_several_at_once),
        cmocka_unit_test(test_the_own_process_after_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
