/* Times and processors of threads, in captures: against what the threads know of them. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const uint32_t thread_info = PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO;

/* What ThreadInfoList leaves out, in each dump that has it. */
static void assert_start_addresses_are_noted(const pi_snapshot *snapshot) {
    size_t found = 0;
    for (size_t i = 0; i < snapshot->report.note_count; i++)
        found += snapshot->report.notes[i]->kind == PROCINSPECT_DUMP_NOTE_LEFT_OUT &&
                 strstr(snapshot->report.notes[i]->text, "start addresses") != NULL;
    assert_int_equal(found, 1);
}

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t unix_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

enum { BURNT_MS = 300 };

/* Burns its share on one processor, tells how much it has used, and waits. */
static void *burn(void *argument) {
    child_board *board = argument;
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        _exit(97);
    size_t last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &allowed))
        last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        _exit(96);
    while (cpu_ns() < BURNT_MS * UINT64_C(1000000))
        continue;
    atomic_store(&board->words[0], cpu_ns());
    atomic_store(&board->words[1], last);
    atomic_store(&board->tids[0], (int)gettid());
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
    return NULL;
}

static void burning_body(child_board *board) {
    pthread_t thread, other;
    pthread_create(&other, NULL, beat, board);
    sleep_ms(50);
    pthread_create(&thread, NULL, burn, board);
    for (;;)
        pause();
}

/* The kernel counts ticks of 10 ms. */
static const int64_t tick_ns = 10000000;

static void what_a_thread_knows_of_itself(void **state) {
    (void)state;
    int64_t begin_ns = unix_ns();
    test_child child = child_start(burning_body);
    pi_snapshot *snapshot = capture_child_as(&child, thread_info);
    assert_int_equal(snapshot->report.effective_type, 0x21000);
    assert_start_addresses_are_noted(snapshot);
    assert_int_equal(snapshot->report.note_count, 1);
    assert_int_equal(snapshot->thread_count, 3);
    int64_t before_ns = 0;
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        const pi_thread_snapshot *thread = &snapshot->threads[i];
        assert_true(thread->has_times && thread->has_affinity && !thread->is_caller);
        /* The clock may be set beside, by a little, while the system runs. */
        assert_true(thread->start_time_unix_ns >= begin_ns - 20 * tick_ns);
        assert_true(thread->start_time_unix_ns <= unix_ns() + 20 * tick_ns);
        assert_true(thread->start_time_unix_ns >= before_ns);
        before_ns = thread->start_time_unix_ns;
    }
    const pi_thread_snapshot *burner = find_thread(snapshot, atomic_load(&child.board->tids[0]));
    assert_true(burner->start_time_unix_ns - snapshot->threads[0].start_time_unix_ns >=
                50000000 - tick_ns);
    int64_t used_ns = (int64_t)(burner->user_cpu_ns + burner->kernel_cpu_ns);
    int64_t known_ns = (int64_t)atomic_load(&child.board->words[0]);
    assert_true(used_ns >= known_ns - 2 * tick_ns && used_ns <= known_ns + 10 * tick_ns);
    assert_true(burner->affinity == UINT64_C(1) << atomic_load(&child.board->words[1]));
    /* The others have all processors, which are as many as this process may use. */
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (size_t i = 0; i < 64; i++)
        if (CPU_ISSET(i, &allowed))
            assert_true(snapshot->threads[0].affinity >> i & 1);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void *burn_for_ever(void *argument) {
    child_board *board = argument;
    for (;;)
        atomic_fetch_add(&board->beats, 1);
    return NULL;
}

static void hot_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, burn_for_ever, board);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void times_never_go_back(void **state) {
    (void)state;
    test_child child = child_start(hot_body);
    uint64_t before_ns = 0, first_ns = 0;
    for (int i = 0; i < 5; i++) {
        pi_snapshot *snapshot = capture_child_as(&child, thread_info);
        const pi_thread_snapshot *thread = &snapshot->threads[1];
        uint64_t used_ns = thread->user_cpu_ns + thread->kernel_cpu_ns;
        assert_true(used_ns >= before_ns);
        first_ns = i == 0 ? used_ns : first_ns;
        before_ns = used_ns;
        pi_snapshot_free(snapshot);
        sleep_ms(50);
    }
    assert_true(before_ns > first_ns);
    child_end(&child);
}

static void without_the_flag_there_is_nothing(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    static const uint32_t types[] = {0, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA,
                                     PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO,
                                     PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        pi_snapshot *snapshot = capture_child_as(&child, types[i]);
        assert_int_equal(snapshot->report.note_count, 0);
        for (size_t k = 0; k < snapshot->thread_count; k++)
            assert_true(!snapshot->threads[k].has_times && !snapshot->threads[k].has_affinity);
        pi_snapshot_free(snapshot);
    }
    child_end(&child);
}

static void everything_at_once(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(beating_body);
    pi_capture_request request = default_request();
    request.type = pi_capture_types();
    request.hold_buffer_bytes = UINT64_C(4) << 30; /* with sanitizers it has much memory */
    procinspect_error error;
    pi_snapshot *snapshot;
    if (pi_capture(child.process, &request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    assert_sound_snapshot(snapshot);
    assert_int_equal(snapshot->report.requested_type, 0x21a07);
    assert_int_equal(snapshot->report.effective_type, 0x21a07);
    assert_true(snapshot->handle_count != 0 && snapshot->region_count != 0);
    assert_true(snapshot->threads[0].has_times);
    assert_true(snapshot->report.memory_bytes > snapshot->threads[0].stack.size_bytes);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

/* What can't be stopped has times all the same. */
static void *wait_in_vfork(void *argument) {
    child_board *board = argument;
    atomic_store(&board->tids[0], (int)gettid());
    if (vfork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        atomic_store(&board->pids[0], (int)getpid());
        atomic_store(&board->ready, 1);
        for (;;)
            syscall(SYS_pause);
    }
    return NULL;
}

static void vfork_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, wait_in_vfork, board);
    for (;;)
        pause();
}

static void a_thread_that_cannot_be_stopped(void **state) {
    (void)state;
    test_child child = child_start(vfork_body);
    int tid = atomic_load(&child.board->tids[0]);
    assert_true(wait_for_thread_state(child.pid, tid, 'D'));
    pi_snapshot *snapshot = capture_child_as(&child, thread_info);
    const pi_thread_snapshot *thread = find_thread(snapshot, tid);
    assert_true(!thread->has_registers && thread->has_times && thread->has_affinity);
    assert_start_addresses_are_noted(snapshot);
    pi_snapshot_free(snapshot);
    kill(atomic_load(&child.board->pids[0]), SIGKILL);
    child_end(&child);
}

static void *wait_for_ever(void *argument) {
    for (;;)
        pause();
    return argument;
}

/* In a dump of the own process the thread that takes it is told apart. */
static void the_thread_that_takes_the_dump(void **state) {
    (void)state;
    pi_system *system;
    pi_process *process;
    pthread_t thread;
    skip_unless_children_can_be_traced();
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, getpid(), &process, NULL), 0);
    pi_capture_request request = default_request();
    request.type = thread_info;
    pi_snapshot *snapshot;
    assert_int_equal(pi_capture(process, &request, &snapshot, NULL), 0);
    assert_true(snapshot->thread_count >= 2);
    for (size_t i = 0; i < snapshot->thread_count; i++)
        assert_int_equal(snapshot->threads[i].is_caller, snapshot->threads[i].tid == gettid());
    pi_snapshot_free(snapshot);
    pi_process_close(process);
    pi_system_close(system);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_thread_knows_of_itself),
        cmocka_unit_test(times_never_go_back),
        cmocka_unit_test(without_the_flag_there_is_nothing),
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(a_thread_that_cannot_be_stopped),
        cmocka_unit_test(the_thread_that_takes_the_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
