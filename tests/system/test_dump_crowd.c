/* Dumps by copy of a process of very many threads whose names are not to be trusted. */
#include "system/dump_file.h"
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "targets/crowd.h"

enum { THREADS = 2000, MOST_THREADS = 20000, BREAKPAD_THREADS = 4096 };

/* Started with that many threads; skips where the system gives fewer. */
static target start_crowd(unsigned threads) {
    char count[16], line[16];
    snprintf(count, sizeof count, "%u", threads);
    target t = target_start((const char *const[]){TESTS_BUILD_DIR "/targets/crowd", count, NULL});
    target_read_line(&t, line, sizeof line, 1000);
    if (strcmp(line, count) != 0) {
        print_message("# of %u threads the system gives %s: see RLIMIT_NPROC, kernel.pid_max, "
                      "kernel.threads-max, pids.max\n",
                      threads, line);
        target_end(&t, 5000);
        skip();
    }
    return t;
}

static void dump_crowd(const target *t, unsigned threads) {
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, t->pid);
    procinspect_dump *dump =
        capture_as(process, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY, PROCINSPECT_DUMP_WAY_COPY);
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    print_message("# %u threads: stood still for %lu us, taken in %lu us, %lu bytes\n", threads,
                  (unsigned long)(report->pause_ns / 1000),
                  (unsigned long)(report->total_ns / 1000), (unsigned long)report->size_bytes);
    assert_int_equal(report->way, PROCINSPECT_DUMP_WAY_COPY);
    assert_int_equal(report->thread_count, threads + 1);
    assert_int_equal(report->unreadable_memory_bytes, 0);
    for (size_t i = 0; i < report->note_count; i++) {
        assert_int_equal(report->notes[i]->tid, 0);
        assert_int_equal(report->notes[i]->kind, PROCINSPECT_DUMP_NOTE_LEFT_OUT);
    }
    assert_int_equal(report->note_count, threads < BREAKPAD_THREADS ? 0 : 2);
    save_dump(dump, dump_path);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

/* Which thread has this name, by the number at its end. */
static unsigned number_of(const char *name) {
    size_t digits = strlen(name);
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9')
        digits--;
    return (unsigned)strtoul(name + digits, NULL, 10);
}

/* Each has its name once, but the main thread, which is the first. */
static void assert_names(const json_t *listed, unsigned threads) {
    unsigned char *seen = calloc(threads, 1);
    assert_non_null(seen);
    assert_int_equal(json_array_size(listed), threads + 1);
    for (size_t i = 1; i <= threads; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(listed, i), "name"));
        char expected[64];
        const unsigned number = number_of(name);
        assert_true(number < threads && seen[number]++ == 0);
        snprintf(expected, sizeof expected, "%s%u", crowd_names[number % CROWD_NAMES].shown,
                 number);
        assert_string_equal(name, expected);
    }
    free(seen);
}

static void check_crowd(unsigned threads) {
    target t = start_crowd(threads);
    dump_crowd(&t, threads);
    json_t *summary = check_dump_file();
    const json_t *violations = json_object_get(summary, "violations");
    /* That it has more threads than Breakpad's readers take, and more memory, is noted. */
    for (size_t i = 0; i < json_array_size(violations); i++) {
        const char *violation = json_string_value(json_array_get(violations, i));
        assert_int_equal(strncmp(violation, "breakpad_limits: ", 17), 0);
    }
    assert_int_equal(json_array_size(violations), threads < BREAKPAD_THREADS ? 0 : 2);
    assert_names(json_object_get(summary, "threads"), threads);
    json_decref(summary);
    assert_int_equal(target_end(&t, 20000), 0);
}

static void test_2000_threads(void **state) {
    (void)state;
    check_crowd(THREADS);
}

/* More than half of all thread ids that a system has by default. */
static void test_20000_threads(void **state) {
    (void)state;
    if (getenv("PROCINSPECT_TEST_SOAK") == NULL) {
        skip();
    }
    check_crowd(MOST_THREADS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2000_threads),
        cmocka_unit_test(test_20000_threads),
    };
    return cmocka_run_group_tests_name("dump_crowd", tests, make_dump_file, remove_dump_file);
}
