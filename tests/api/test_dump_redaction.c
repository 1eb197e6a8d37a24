/* SPDX-License-Identifier: MIT */
#include "dump_target.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Values of environment variables that a dump isn't to show, of a program that has spread them. */

#define PASSWORD "correct-horse-battery-staple"
#define LATE_TOKEN "set-only-when-it-ran"
#define PLAIN "everybody-may-see-this"
#define FULL PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY

enum { LARGE_BYTES = 1 << 20, LATE_WRITES = 1000 };

static const char *const redacted_names[] = {"*password", "LATE_TOKEN", "PIN"};

/* --- The program: it copies what it was given, and sets another variable --- */

static char *volatile url, *volatile copies[LATE_WRITES];

static int hold_secrets(int ready) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama asks for it */
    setenv("LATE_TOKEN", LATE_TOKEN, 1);
    url = malloc(LARGE_BYTES);
    memset(url, 'u', LARGE_BYTES);
    memcpy(url + LARGE_BYTES / 2, getenv("DB_PASSWORD"), strlen(getenv("DB_PASSWORD")));
    for (size_t i = 0; i < LATE_WRITES; i++)
        copies[i] = strdup(getenv("DB_PASSWORD"));
    if (write(ready, "x", 1) != 1)
        return 1;
    for (;;)
        pause();
}

static pid_t start_program(void) {
    static char password[] = "DB_PASSWORD=" PASSWORD, pin[] = "PIN=4711", plain[] = "PLAIN=" PLAIN;
    static char program[] = "program";
    int ready[2];
    char byte, descriptor[12];
    assert_int_equal(pipe(ready), 0);
    snprintf(descriptor, sizeof descriptor, "%d", ready[1]);
    pid_t pid = fork();
    if (pid == 0) {
        execve("/proc/self/exe", (char *const[]){program, descriptor, NULL},
               (char *const[]){password, pin, plain, NULL});
        _exit(127);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static int start(void **state) {
    (void)state;
    target_pid = start_program();
    return 0;
}

/* --- Its dumps --- */

static procinspect_context *context_that_redacts(const char *const *names, size_t count) {
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    options.redacted_names = names;
    options.redacted_name_count = count;
    assert_int_equal(procinspect_context_new(&options, &context, NULL), 0);
    return context;
}

typedef struct taken {
    procinspect_dump *dump;
    char *bytes;
    size_t length;
    bool has_note;
} taken;

static bool has_redacted_note(const procinspect_dump_note *const *notes, size_t count,
                              const char *begin) {
    for (size_t i = 0; i < count; i++)
        if (notes[i]->kind == PROCINSPECT_DUMP_NOTE_REDACTED) {
            assert_int_equal(strncmp(notes[i]->text, begin, strlen(begin)), 0);
            return true;
        }
    return false;
}

static taken take(const char *const *names, size_t name_count, uint32_t type, uint32_t way,
                  uint32_t flags, const char *note) {
    procinspect_context *context = context_that_redacts(names, name_count);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_error error = {0};
    procinspect_dump_options_init(&options, sizeof options);
    options.type = type;
    options.way = way;
    options.flags = flags;
    taken made = {0};
    if (procinspect_dump_capture(process, &options, &made.dump, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    made.length = procinspect_dump_size_bytes(made.dump);
    made.bytes = malloc(made.length);
    assert_non_null(made.bytes);
    size_t length;
    assert_int_equal(procinspect_dump_read_at(made.dump, 0, made.bytes, made.length, &length, NULL),
                     0);
    assert_int_equal(length, made.length);
    const procinspect_dump_report *report = procinspect_dump_report_get(made.dump);
    made.has_note = has_redacted_note(report->notes, report->note_count, note);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return made;
}

static void give_up(taken *made) {
    procinspect_dump_free(made->dump);
    free(made->bytes);
}

static size_t count_of(const taken *made, const char *text) {
    size_t count = 0, length = strlen(text);
    const char *at = made->bytes, *end = at + made->length;
    while ((at = memmem(at, (size_t)(end - at), text, length)) != NULL) {
        count++;
        at += length;
    }
    return count;
}

static bool holds(const taken *made, const char *entry, size_t length) {
    return memmem(made->bytes, made->length, entry, length) != NULL;
}

/* A text with NULs in it, and the one behind it. */
#define has_entry(made, entry) holds(made, entry, sizeof(entry))

/* Else nothing below would show anything. */
static void without_redaction_all_is_there(void **state) {
    (void)state;
    taken made = take(NULL, 0, FULL, PROCINSPECT_DUMP_WAY_HOLD, 0, "");
    assert_false(made.has_note);
    assert_true(count_of(&made, PASSWORD) > LATE_WRITES);
    assert_true(has_entry(&made, "\0LATE_TOKEN=" LATE_TOKEN));
    assert_true(has_entry(&made, "\0PIN=4711"));
    give_up(&made);
}

static void assert_only_plain(const taken *made, const char *plain) {
    assert_true(made->has_note);
    assert_int_equal(count_of(made, PASSWORD), 0);
    assert_false(has_entry(made, "\0LATE_TOKEN=" LATE_TOKEN));
    assert_false(has_entry(made, "\0PIN=4711"));
    assert_true(has_entry(made, "\0PIN=****"));
    assert_int_equal(count_of(made, "PLAIN=" PLAIN) != 0, plain != NULL);
}

static void names_of_the_context_are_gone(void **state) {
    (void)state;
    static const uint32_t ways[] = {PROCINSPECT_DUMP_WAY_HOLD, PROCINSPECT_DUMP_WAY_COPY,
                                    PROCINSPECT_DUMP_WAY_LIVE};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        taken made = take(redacted_names, 3, FULL, ways[i], 0, "The values of 2 environment");
        assert_only_plain(&made, PLAIN);
        assert_true(count_of(&made, "****************************") > LATE_WRITES);
        assert_true(has_entry(&made, "\0LATE_TOKEN=********************"));
        give_up(&made);
    }
    taken small = take(redacted_names, 3, PROCINSPECT_DUMP_TYPE_NORMAL, PROCINSPECT_DUMP_WAY_AUTO,
                       0, "The values of 2 environment");
    assert_only_plain(&small, PLAIN);
    give_up(&small);
}

/* Of what the program sets by itself the names aren't known where nothing names them. */
static void all_that_it_was_started_with_is_gone(void **state) {
    (void)state;
    taken made = take(&redacted_names[1], 1, FULL, PROCINSPECT_DUMP_WAY_AUTO,
                      PROCINSPECT_DUMP_REDACT, "The values of 3 environment");
    assert_only_plain(&made, NULL);
    give_up(&made);
}

static void streams_give_the_same(void **state) {
    (void)state;
    taken made = take(redacted_names, 3, FULL, PROCINSPECT_DUMP_WAY_HOLD, 0, "The values");
    procinspect_stream *stream;
    char part[4099];
    size_t at = 0;
    assert_int_equal(procinspect_stream_open_dump(made.dump, NULL, &stream, NULL), 0);
    for (size_t length = 1; length != 0;) {
        assert_int_equal(procinspect_stream_read(stream, part, sizeof part, &length, NULL), 0);
        assert_true(length <= made.length - at);
        assert_true(memcmp(made.bytes + at, part, length) == 0);
        at += length;
    }
    assert_int_equal(at, made.length);
    procinspect_stream_free(stream);
    give_up(&made);
}

/* The note is in the dump, and counts. */
static void an_estimate_is_of_the_same_size(void **state) {
    (void)state;
    procinspect_context *context = context_that_redacts(redacted_names, 3);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_dump_options_init(&options, sizeof options);
    options.flags = PROCINSPECT_DUMP_REDACT;
    const procinspect_dump_estimate *estimate;
    procinspect_dump *dump;
    assert_int_equal(procinspect_dump_estimate_read(process, &options, &estimate, NULL), 0);
    assert_true(has_redacted_note(estimate->notes, estimate->note_count, "The values of 3 "));
    assert_int_equal(procinspect_dump_capture(process, &options, &dump, NULL), 0);
    int64_t more = (int64_t)procinspect_dump_size_bytes(dump) - (int64_t)estimate->size_bytes;
    assert_true(more > -512 && more < 512);
    procinspect_dump_estimate_free(estimate);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_redaction_all_is_there),
        cmocka_unit_test(names_of_the_context_are_gone),
        cmocka_unit_test(all_that_it_was_started_with_is_gone),
        cmocka_unit_test(streams_give_the_same),
        cmocka_unit_test(an_estimate_is_of_the_same_size),
    };
    if (argc == 2)
        return hold_secrets(atoi(argv[1]));
    return cmocka_run_group_tests(tests, start, end_target);
}
