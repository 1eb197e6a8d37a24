/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <stdio.h>
#include <sys/stat.h>

/* A recorded tree, of which every number is known: tests/fixtures/proc-recorded. */

#define SECOND INT64_C(1000000000)
#define BOOTED (INT64_C(1700000000) * SECOND)
#define OTHER_USERS PROCINSPECT_PROCESS_QUERY_ALL_USERS
#define FOR_LISTS                                                                                  \
    (PROCINSPECT_PROCESS_EVERYTHING &                                                              \
     ~(PROCINSPECT_PROCESS_CHILDREN | PROCINSPECT_PROCESS_THREADS | PROCINSPECT_PROCESS_MODULES |  \
       PROCINSPECT_PROCESS_OPEN_FILES | PROCINSPECT_PROCESS_ENVIRONMENT |                          \
       PROCINSPECT_PROCESS_WEB_JOB))

static procinspect_context *context;

static int open_tree(void **state) {
    (void)state;
    context = context_of(RECORDED, PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    return 0;
}

static int close_tree(void **state) {
    (void)state;
    procinspect_context_free(context);
    return 0;
}

static const procinspect_process_list *list_of(uint64_t members) {
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = OTHER_USERS;
    query.members = members;
    const procinspect_process_list *list = NULL;
    assert_int_equal(procinspect_process_list_read(context, &query, &list, NULL), PROCINSPECT_OK);
    return list;
}

static void a_listing_has_the_processes_and_nothing_else(void **state) {
    (void)state;
    const procinspect_process_list *list = list_of(0);
    /* 25 ended while it was recorded; 007 and 4294967297 are no names of processes. */
    static const int32_t pids[] = {17, 18, 22, 23, 24, 26, 27};
    assert_int_equal(list->count, sizeof pids / sizeof pids[0]);
    for (size_t i = 0; i < list->count; i++)
        assert_int_equal(list->items[i]->pid, pids[i]);
    procinspect_process_list_free(list);
}

static void what_the_stat_file_answers(void **state) {
    (void)state;
    const procinspect_process_list *list = list_of(PROCINSPECT_PROCESS_BASIC);
    const procinspect_process_info *info = item_of(list, 17);
    assert_true(info->known == PROCINSPECT_PROCESS_BASIC);
    assert_string_equal(info->name, "Anvil-with-a-rather-long-name");
    assert_int_equal(info->parent_pid, 1);
    assert_int_equal(info->process_group_id, 17);
    assert_int_equal(info->session_id, 16);
    assert_int_equal(info->os_state, 'S');
    assert_int_equal(info->nice, -5);
    assert_int_equal(info->thread_count, 3);
    /* Recorded at 100 ticks a second, as every Linux has them. */
    assert_true(info->start_time_since_boot_ns == UINT64_C(10000000000));
    assert_true(info->start_time_unix_ns == BOOTED + 10 * SECOND);
    assert_true(info->user_cpu_time_ns == 1500000000);
    assert_true(info->kernel_cpu_time_ns == 250000000);
    assert_int_equal(info->unavailable_count, 0);
    /* What was not asked for. */
    assert_null(info->command_line);
    assert_null(info->user_name);
    procinspect_process_list_free(list);
}

static void hostile_names_and_numbers(void **state) {
    (void)state;
    const procinspect_process_list *list = list_of(PROCINSPECT_PROCESS_BASIC);
    const procinspect_process_info *info = item_of(list, 18);
    assert_string_equal(info->name, ") R 1 (\n\xef\xbf\xbd");
    assert_int_equal(info->os_state, 'D');
    assert_int_equal(info->parent_pid, 17);
    assert_true(info->start_time_since_boot_ns == UINT64_MAX); /* saturated */
    assert_true(info->start_time_unix_ns == INT64_MAX);
    procinspect_process_list_free(list);
}

static void a_stat_file_that_was_cut_is_unknown_not_wrong(void **state) {
    (void)state;
    const procinspect_process_list *list = list_of(PROCINSPECT_PROCESS_BASIC);
    const procinspect_process_info *info = item_of(list, 24);
    assert_int_equal(info->known, 0);
    const procinspect_unavailable *reason = reason_of(info, PROCINSPECT_PROCESS_BASIC);
    assert_int_equal(reason->code, PROCINSPECT_ERROR_IO);
    assert_non_null(strstr(reason->reason, "unknown format"));
    assert_null(info->name);
    procinspect_process_list_free(list);

    procinspect_process *process;
    procinspect_error error;
    assert_int_equal(procinspect_process_open(context, 24, &process, &error), PROCINSPECT_ERROR_IO);
    /* Not "/proc/24": that is another process, if any. */
    assert_string_equal(error.message,
                        "Reading stat of process 24 failed: it has an unknown format.");
}

static void what_the_other_files_answer(void **state) {
    (void)state;
    const procinspect_process_list *list = list_of(FOR_LISTS);
    const procinspect_process_info *info = item_of(list, 17);
    assert_true(info->known == FOR_LISTS);
    struct stat owner;
    assert_int_equal(stat(RECORDED "/17", &owner), 0);
    assert_int_equal(info->user_id, owner.st_uid);
    assert_string_equal(info->command_line, "/opt/Anvil-with-a-rather-long-name --port 80");
    assert_int_equal(info->command_line_bytes_length, 45);
    assert_memory_equal(info->command_line_bytes,
                        "/opt/Anvil-with-a-rather-long-name\0--port\0"
                        "80\0",
                        45);
    assert_string_equal(info->executable_path, "/opt/Anvil-with-a-rather-long-name");
    assert_int_equal(info->executable_path_bytes_length, 34);
    assert_int_equal(info->tracer_pid, 18);
    assert_int_equal(info->virtual_memory_bytes, 10240 * 1024);
    assert_int_equal(info->peak_virtual_memory_bytes, 20480 * 1024);
    assert_int_equal(info->resident_memory_bytes, 2048 * 1024);
    assert_int_equal(info->peak_resident_memory_bytes, 3072 * 1024);
    assert_int_equal(info->data_memory_bytes, 512 * 1024);
    assert_int_equal(info->swapped_memory_bytes, 8 * 1024);
    assert_int_equal(info->open_file_count, 6);
    assert_int_equal(info->is_management_site, 1);
    assert_int_equal(info->is_web_job, 1);
    assert_null(info->web_job_name);
    procinspect_process_list_free(list);
}

static void kernel_threads_and_zombies_say_why(void **state) {
    (void)state;
    const uint64_t memory =
        PROCINSPECT_PROCESS_VIRTUAL_MEMORY | PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY |
        PROCINSPECT_PROCESS_RESIDENT_MEMORY | PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY |
        PROCINSPECT_PROCESS_DATA_MEMORY | PROCINSPECT_PROCESS_SWAPPED_MEMORY;
    const procinspect_process_list *list = list_of(FOR_LISTS);
    const procinspect_process_info *thread = item_of(list, 22);
    assert_string_equal(thread->name, "kworker/0:1-events");
    assert_string_equal(thread->command_line, "");
    assert_non_null(strstr(reason_of(thread, memory)->reason, "kernel thread"));
    assert_non_null(
        strstr(reason_of(thread, PROCINSPECT_PROCESS_EXECUTABLE)->reason, "kernel thread"));
    assert_true((thread->known & PROCINSPECT_PROCESS_SITE_ROLE) != 0);
    assert_int_equal(thread->is_web_job, 0);
    const procinspect_process_info *zombie = item_of(list, 23);
    assert_int_equal(zombie->os_state, 'Z');
    assert_non_null(strstr(reason_of(zombie, PROCINSPECT_PROCESS_COMMAND_LINE)->reason, "zombie"));
    assert_non_null(strstr(reason_of(zombie, memory)->reason, "zombie"));
    assert_int_equal(reason_of(zombie, PROCINSPECT_PROCESS_SITE_ROLE)->code,
                     PROCINSPECT_ERROR_GONE);
    assert_non_null(strstr(reason_of(zombie, PROCINSPECT_PROCESS_EXECUTABLE)->reason, "zombie"));
    procinspect_process_list_free(list);
}

static void the_calling_process_is_not_in_it(void **state) {
    (void)state;
    procinspect_process *process = NULL;
    procinspect_error error;
    assert_int_equal(procinspect_process_open(context, 0, &process, &error),
                     PROCINSPECT_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "isn't below this context's proc_root"));
    assert_null(process);
}

/* Its main thread has ended: thread 28 has the files that tell something. */
static void a_process_that_lives_without_its_main_thread(void **state) {
    (void)state;
    const procinspect_process_list *list = list_of(FOR_LISTS);
    const procinspect_process_info *info = item_of(list, 27);
    assert_true(info->known == FOR_LISTS);
    assert_int_equal(info->os_state, 'S');
    assert_int_equal(info->thread_count, 2);
    assert_string_equal(info->name, "Leaderless-service");
    assert_string_equal(info->command_line, "/opt/Leaderless-service");
    assert_string_equal(info->executable_path, "/opt/Leaderless-service");
    assert_int_equal(info->resident_memory_bytes, 2048 * 1024);
    assert_int_equal(info->tracer_pid, 18);
    assert_int_equal(info->open_file_count, 2);
    procinspect_process_list_free(list);
    /* And where nothing but the one member is asked for. */
    list = list_of(PROCINSPECT_PROCESS_COMMAND_LINE);
    assert_string_equal(item_of(list, 27)->command_line, "/opt/Leaderless-service");
    procinspect_process_list_free(list);

    const procinspect_process_info *read =
        info_of(context, 27, PROCINSPECT_PROCESS_OPEN_FILES | PROCINSPECT_PROCESS_ENVIRONMENT);
    assert_int_equal(read->open_files->count, 2);
    assert_string_equal(read->open_files->items[1]->name, "socket:[78]");
    assert_int_equal(read->environment->count, 2);
    procinspect_process_info_free(read);
}

static void threads_of_a_process(void **state) {
    (void)state;
    procinspect_process *process = process_of(context, 17);
    procinspect_thread_query query;
    procinspect_thread_query_init(&query, sizeof query);
    query.members = PROCINSPECT_THREAD_EVERYTHING;
    const procinspect_thread_list *list;
    assert_int_equal(procinspect_thread_list_read(process, &query, &list, NULL), PROCINSPECT_OK);
    assert_int_equal(list->count, 3); /* 21 ended while it was recorded */
    assert_int_equal(list->pid, 17);
    const procinspect_thread_info *main_thread = list->items[0], *stopped = list->items[1];
    assert_int_equal(main_thread->tid, 17);
    assert_int_equal(main_thread->known, PROCINSPECT_THREAD_EVERYTHING);
    assert_string_equal(main_thread->name, "Anvil-with-a-ra"); /* as the kernel keeps it */
    assert_int_equal(main_thread->priority, 15);
    assert_int_equal(main_thread->nice, -5);
    assert_int_equal(main_thread->wait_reason, PROCINSPECT_WAIT_UNKNOWN);
    assert_int_equal(stopped->tid, 19);
    assert_int_equal(stopped->pid, 17);
    assert_string_equal(stopped->name, "w\xef\xbf\xbdorker");
    assert_int_equal(stopped->os_state, 'T');
    assert_int_equal(stopped->priority, -51);
    assert_int_equal(stopped->realtime_priority, 50);
    assert_int_equal(stopped->scheduling_policy, 1);
    assert_int_equal(stopped->wait_reason, PROCINSPECT_WAIT_SUSPENDED);
    assert_true(stopped->start_time_unix_ns == BOOTED + 20 * SECOND);
    assert_int_equal(stopped->user_cpu_time_ns, 70000000);
    assert_int_equal(stopped->kernel_cpu_time_ns, 30000000);
    assert_int_equal(list->items[2]->wait_reason, PROCINSPECT_WAIT_NONE);
    assert_true(list->items[2]->user_cpu_time_ns == UINT64_MAX);
    procinspect_thread_list_free(list);

    query.tid = 19;
    assert_int_equal(procinspect_thread_list_read(process, &query, &list, NULL), PROCINSPECT_OK);
    assert_int_equal(list->count, 1);
    assert_int_equal(list->items[0]->tid, 19);
    procinspect_thread_list_free(list);
    procinspect_error error;
    query.tid = 21;
    assert_int_equal(procinspect_thread_list_read(process, &query, &list, &error),
                     PROCINSPECT_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "no thread 21"));
    procinspect_process_free(process);
}

static void open_files_of_a_process(void **state) {
    (void)state;
    procinspect_process *process = process_of(context, 17);
    const procinspect_open_file_list *list;
    assert_int_equal(procinspect_open_file_list_read(process, &list, NULL), PROCINSPECT_OK);
    static const procinspect_open_file expected[] = {
        {.descriptor = 0, .kind = PROCINSPECT_OPEN_FILE_PATH, .name = "/dev/null"},
        {.descriptor = 1, .kind = PROCINSPECT_OPEN_FILE_PIPE, .name = "pipe:[123]"},
        {.descriptor = 2, .kind = PROCINSPECT_OPEN_FILE_SOCKET, .name = "socket:[77]"},
        {.descriptor = 9, .kind = PROCINSPECT_OPEN_FILE_PATH, .name = "/tmp/with\nnewline"},
        {.descriptor = 10, .kind = PROCINSPECT_OPEN_FILE_OTHER, .name = "anon_inode:[eventpoll]"},
        {.descriptor = 100, .kind = PROCINSPECT_OPEN_FILE_OTHER, .name = "net:[4026531840]"},
    };
    assert_int_equal(list->count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < list->count; i++) {
        const procinspect_open_file *file = list->items[i];
        assert_int_equal(file->descriptor, expected[i].descriptor);
        assert_int_equal(file->kind, expected[i].kind);
        assert_string_equal(file->name, expected[i].name);
        assert_int_equal(file->name_bytes_length, strlen(expected[i].name));
    }
    procinspect_open_file_list_free(list);
    procinspect_process_free(process);
}

static void children_are_found_by_their_parent(void **state) {
    (void)state;
    const procinspect_process_info *info = info_of(context, 17, PROCINSPECT_PROCESS_CHILDREN);
    assert_int_equal(info->known, PROCINSPECT_PROCESS_CHILDREN);
    assert_int_equal(info->child_count, 2);
    assert_int_equal(info->child_pids[0], 18);
    assert_int_equal(info->child_pids[1], 23);
    procinspect_process_info_free(info);
    info = info_of(context, 18, PROCINSPECT_PROCESS_CHILDREN);
    assert_int_equal(info->child_count, 0);
    procinspect_process_info_free(info);
}

static void what_is_no_process_is_not_found(void **state) {
    (void)state;
    static const int32_t pids[] = {1, 7, 25, 26, INT32_MAX};
    for (size_t i = 0; i < sizeof pids / sizeof pids[0]; i++) {
        procinspect_process *process;
        procinspect_error error;
        assert_int_equal(procinspect_process_open(context, pids[i], &process, &error),
                         PROCINSPECT_ERROR_NOT_FOUND);
        char expected[64];
        snprintf(expected, sizeof expected, "Process with an Id of %d is not running", pids[i]);
        assert_memory_equal(error.message, expected, strlen(expected));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_has_the_processes_and_nothing_else),
        cmocka_unit_test(what_the_stat_file_answers),
        cmocka_unit_test(hostile_names_and_numbers),
        cmocka_unit_test(a_stat_file_that_was_cut_is_unknown_not_wrong),
        cmocka_unit_test(what_the_other_files_answer),
        cmocka_unit_test(kernel_threads_and_zombies_say_why),
        cmocka_unit_test(the_calling_process_is_not_in_it),
        cmocka_unit_test(a_process_that_lives_without_its_main_thread),
        cmocka_unit_test(threads_of_a_process),
        cmocka_unit_test(open_files_of_a_process),
        cmocka_unit_test(children_are_found_by_their_parent),
        cmocka_unit_test(what_is_no_process_is_not_found),
    };
    return cmocka_run_group_tests(tests, open_tree, close_tree);
}
