/* Captures that run out of something, of time, or are cancelled: the target runs on, nothing leaks.
 */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 200 };

static void expect_no_processes(const pi_process *process) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NPROC, &none) != 0)
        _exit(92);
    expect_capture_fails(process, PROCINSPECT_ERROR_NO_RESOURCES, "RLIMIT_NPROC");
}

/* The own process, which needs no permission: before anything of it is stopped. */
static void test_no_more_processes(void **state) {
    int status;
    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pi_system *system;
        pi_process *process;
        become_nobody();
        if (pi_system_open(NULL, &system, NULL) != 0 ||
            pi_process_open(system, getpid(), &process, NULL) != 0)
            _exit(91);
        expect_no_processes(process);
        pi_process_close(process);
        pi_system_close(system);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_no_more_descriptors(void **state) {
    struct rlimit before, few;
    int opened[256];
    size_t count = 0;
    pi_capture_request request = default_request();
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(beating_body);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){128, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 256 && (opened[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    /* With none left, with one, … until it works: never a leak, never another answer. */
    int32_t code = PROCINSPECT_ERROR_NO_RESOURCES;
    unsigned refused = 0;
    while (code != 0) {
        pi_snapshot *snapshot;
        procinspect_error error;
        size_t descriptors = refused == 0 ? 0 : count_descriptors();
        code = pi_capture(child.process, &request, &snapshot, &error);
        if (code == 0) {
            pi_snapshot_free(snapshot);
        } else if (code != PROCINSPECT_ERROR_NO_RESOURCES) {
            fail_msg("%d: %s", error.code, error.message);
        }
        if (refused != 0)
            assert_int_equal(count_descriptors(), descriptors);
        refused += code != 0;
        assert_true(count > 0);
        close(opened[--count]);
    }
    assert_true(refused >= 2);
    while (count > 0)
        close(opened[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_beats(&child);
    child_end(&child);
}

static void test_no_more_address_space(void **state) {
    pi_capture_request request = default_request();
    (void)state;
    test_child child = child_start(beating_body);
    request.hold_buffer_bytes = UINT64_C(1) << 47;
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_NO_MEMORY, "hold_buffer_bytes");
    assert_beats(&child);
    child_end(&child);
}

/* --- What takes too long --- */

static void many_body(child_board *board) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread, &attributes, beat, board);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void test_the_pause_is_never_longer_than_permitted(void **state) {
    unsigned late = 0;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(many_body);
    pi_capture_request request = default_request();
    for (int i = 0; i < 20; i++) {
        pi_snapshot *snapshot;
        procinspect_error error;
        request.max_pause_ms = (uint32_t)i / 5 + 1;
        int32_t code = pi_capture(child.process, &request, &snapshot, &error);
        if (code == 0) {
            assert_pause_as_permitted(&snapshot->report, request.max_pause_ms);
            pi_snapshot_free(snapshot);
        } else if (code == PROCINSPECT_ERROR_TIMED_OUT) {
            late++;
        } else {
            fail_msg("%d: %s", error.code, error.message);
        }
        assert_beats(&child);
    }
    assert_true(late > 0);
    child_end(&child);
}

/* So little room that nothing of the stacks fits: the notes name the cause. */
static void test_no_room_for_the_stacks(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(many_body);
    pi_capture_request request = default_request();
    pi_snapshot *snapshot;
    request.hold_buffer_bytes = THREADS / 2;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    assert_sound_snapshot(snapshot);
    assert_int_equal(snapshot->report.thread_count, THREADS + 1);
    unsigned shortened = 0;
    for (size_t i = 0; i < snapshot->report.note_count; i++) {
        const procinspect_dump_note *note = snapshot->report.notes[i];
        assert_int_not_equal(note->kind, PROCINSPECT_DUMP_NOTE_UNREADABLE);
        if (note->kind == PROCINSPECT_DUMP_NOTE_SHORTENED) {
            shortened++;
            assert_non_null(strstr(note->text, "hold_buffer_bytes"));
        }
    }
    assert_int_equal(shortened, THREADS + 1);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

/* --- Texts that are too long --- */

enum { ARGUMENTS = 12, ARGUMENT_BYTES = 100 * 1000, LONGEST_COMMAND_LINE = 1024 * 1024 };

static void long_command_line_body(child_board *board) {
    static char argument[ARGUMENT_BYTES];
    static char shell[] = "sh", option[] = "-c", script[] = "kill -STOP $$";
    char *arguments[ARGUMENTS + 3] = {shell, option, script};
    memset(argument, 'a', sizeof argument - 1);
    for (int i = 0; i < ARGUMENTS - 1; i++)
        arguments[i + 3] = argument;
    atomic_store(&board->ready, 1);
    execv("/bin/sh", arguments);
    _exit(97);
}

static bool has_long_command_line(pid_t pid) {
    static char text[LONGEST_COMMAND_LINE + 1];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *file = fopen(path, "r");
    size_t length = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (file != NULL)
        fclose(file);
    return length == sizeof text;
}

static void test_a_text_that_is_cut_is_noted(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(long_command_line_body);
    for (int i = 0; i < 20000 && !has_long_command_line(child.pid); i++)
        sleep_ms(1);
    assert_true(has_long_command_line(child.pid));
    pi_snapshot *snapshot = capture_child(&child);
    assert_int_equal(snapshot->texts[PI_TEXT_COMMAND_LINE].length, LONGEST_COMMAND_LINE);
    unsigned notes = 0; /* beside that of the stack, which holds the arguments too */
    for (size_t i = 0; i < snapshot->report.note_count; i++)
        notes += snapshot->report.notes[i]->kind == PROCINSPECT_DUMP_NOTE_SHORTENED &&
                 strstr(snapshot->report.notes[i]->text, "cmdline") != NULL;
    assert_int_equal(notes, 1);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void *wait_in_vfork(void *argument) {
    child_board *board = argument;
    atomic_store(&board->tids[0], (int)gettid());
    if (vfork() == 0) {
        atomic_store(&board->pids[0], (int)getpid());
        atomic_store(&board->ready, 1);
        for (;;)
            syscall(SYS_pause);
    }
    return NULL;
}

static void vfork_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, beat, board);
    wait_in_vfork(board);
}

static void *cancel_soon(void *argument) {
    sleep_ms(30);
    procinspect_cancellation_request(argument);
    return NULL;
}

/* A thread that can't be stopped makes captures long enough to be cancelled. */
static void test_cancellation(void **state) {
    pthread_t thread;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(vfork_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'D'));
    pi_capture_request request = default_request();
    procinspect_cancellation *cancellation;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    request.cancellation = cancellation;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancellation), 0);
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_CANCELLED, "cancellation");
    pthread_join(thread, NULL);
    assert_beats(&child);
    /* And one that was requested before. */
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_CANCELLED, "cancellation");
    procinspect_cancellation_free(cancellation);
    kill(atomic_load(&child.board->pids[0]), SIGKILL);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_processes),
        cmocka_unit_test(test_no_more_descriptors),
        cmocka_unit_test(test_no_more_address_space),
        cmocka_unit_test(test_the_pause_is_never_longer_than_permitted),
        cmocka_unit_test(test_no_room_for_the_stacks),
        cmocka_unit_test(test_a_text_that_is_cut_is_noted),
        cmocka_unit_test(test_cancellation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
