#include "system/dump_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

output last_output;

void run(const char *command) {
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    const size_t length = fread(last_output.text, 1, sizeof last_output.text - 1, pipe);
    last_output.text[length] = '\0';
    last_output.status = pclose(pipe);
}

char dump_path[] = "/tmp/procinspect-readers-XXXXXX";

int make_dump_file(void **state) {
    const int fd = mkostemp(dump_path, O_CLOEXEC);
    (void)state;
    return fd >= 0 ? close(fd) : -1;
}

int remove_dump_file(void **state) {
    (void)state;
    return unlink(dump_path);
}

void make_dump(const target *t, uint32_t type, uint32_t way) {
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, t->pid);
    procinspect_dump *dump = capture_as(process, type, way);
    if (way != PROCINSPECT_DUMP_WAY_AUTO) {
        assert_int_equal(procinspect_dump_report_get(dump)->way, way);
    }
    save_dump(dump, dump_path);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void assert_name_is_comm(pid_t pid, const json_t *thread) {
    char path[64];
    char comm[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)pid,
             (int)json_integer_value(json_object_get(thread, "tid")));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(comm, sizeof comm, file));
    fclose(file);
    comm[strcspn(comm, "\n")] = '\0';
    assert_string_equal(json_string_value(json_object_get(thread, "name")), comm);
}

json_t *check_dump_file(void) {
    char command[512];
    json_error_t error;
    snprintf(command, sizeof command, "/usr/bin/python3 " READERS "check_minidump.py %s",
             dump_path);
    run(command);
    json_t *summary = json_loads(last_output.text, 0, &error);
    if (summary == NULL) {
        fail_msg("check_minidump.py: %s: %.200s", error.text, last_output.text);
    }
    const json_t *violations = json_object_get(summary, "violations");
    for (size_t i = 0; i < json_array_size(violations) && i < 20; i++) {
        print_message("%s\n", json_string_value(json_array_get(violations, i)));
    }
    return summary;
}

void assert_well_formed_as(pid_t pid, size_t thread_count, uint32_t type) {
    json_t *summary = check_dump_file();
    assert_int_equal(json_array_size(json_object_get(summary, "violations")), 0);
    assert_int_equal(last_output.status, 0);
    assert_int_equal(json_integer_value(json_object_get(summary, "pid")), pid);
    assert_int_equal(json_integer_value(json_object_get(summary, "flags")), type | 0x20000);
    const json_t *threads = json_object_get(summary, "threads");
    assert_int_equal(json_array_size(threads), thread_count);
    for (size_t i = 0; i < thread_count; i++) {
        assert_name_is_comm(pid, json_array_get(threads, i));
    }
    json_decref(summary);
}

void compare_with_lldb(pid_t pid, const char *options) {
    char command[512];
    snprintf(command, sizeof command, "/usr/bin/python3 " READERS "compare_lldb.py %d %s %s 2>&1",
             (int)pid, dump_path, options);
    run(command);
    print_message("%s", last_output.text);
}

void assert_same_in_lldb(pid_t pid, size_t thread_count, const char *options) {
    char expected[64];
    compare_with_lldb(pid, options);
    snprintf(expected, sizeof expected, "lldb: %zu threads, ", thread_count);
    assert_int_equal(strncmp(last_output.text, expected, strlen(expected)), 0);
    assert_int_equal(last_output.status, 0);
}
