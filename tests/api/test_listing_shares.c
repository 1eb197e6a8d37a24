/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Processes with so much to tell that all of it would be more than a listing takes: 300 with a
 * command line and an environment of 1 MiB each, and an ordinary one before and behind them. */

enum { FIRST = 1, LONG_ONES = 300, LAST = LONG_ONES + 2, LENGTH = 1024 * 1024 };

static const uint64_t members = PROCINSPECT_PROCESS_BASIC | PROCINSPECT_PROCESS_COMMAND_LINE |
                                PROCINSPECT_PROCESS_EXECUTABLE | PROCINSPECT_PROCESS_ENVIRONMENT |
                                PROCINSPECT_PROCESS_SITE_ROLE;
static const uint64_t long_members =
    PROCINSPECT_PROCESS_COMMAND_LINE | PROCINSPECT_PROCESS_ENVIRONMENT;

static void write_file(const char *root, const char *name, const char *bytes, size_t length) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *root, int pid, const char *file, const char *text) {
    char name[64];
    snprintf(name, sizeof name, "%d/%s", pid, file);
    write_file(root, name, text, strlen(text));
}

/* All of them are one file on the disk. */
static void link_file(const char *root, const char *from, int pid, const char *file) {
    char old_path[256], new_path[256];
    snprintf(old_path, sizeof old_path, "%s/%s", root, from);
    snprintf(new_path, sizeof new_path, "%s/%d/%s", root, pid, file);
    assert_int_equal(link(old_path, new_path), 0);
}

static void make_process(const char *root, int pid) {
    char path[256], text[512];
    snprintf(path, sizeof path, "%s/%d", root, pid);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/%d/exe", root, pid);
    assert_int_equal(symlink("/usr/bin/worker", path), 0);
    snprintf(text, sizeof text,
             "%d (worker-with-a-l) S 1 %d %d 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 1 0 1000 1 256 "
             "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
             pid, pid, pid);
    write_text(root, pid, "stat", text);
}

static void make_tree(const char *root) {
    static char line[LENGTH], environment[LENGTH];
    memset(line, 'x', sizeof line);
    memcpy(line, "worker-with-a-l", 15); /* as a name it would be 1 MiB */
    memset(environment, 'x', sizeof environment);
    memcpy(environment, "WEBJOBS_NAME=", 13);
    write_file(root, "stat", "btime 1\n", 8);
    write_file(root, "line", line, sizeof line);
    write_file(root, "environment", environment, sizeof environment);
    for (int pid = FIRST; pid <= LAST; pid++) {
        make_process(root, pid);
        if (pid == FIRST || pid == LAST) {
            write_text(root, pid, "cmdline", "worker-with-a-long-name");
            write_text(root, pid, "environ", "WEBJOBS_NAME=mail");
        } else {
            link_file(root, "line", pid, "cmdline");
            link_file(root, "environment", pid, "environ");
        }
    }
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void is_ordinary(const procinspect_process_info *info) {
    assert_true(info->known == members);
    assert_int_equal(info->unavailable_count, 0);
    assert_string_equal(info->name, "worker-with-a-long-name");
    assert_string_equal(info->command_line, "worker-with-a-long-name");
    assert_int_equal(info->is_web_job, 1);
    assert_int_equal(info->environment->count, 1);
}

static void is_cut(const procinspect_process_info *info) {
    assert_true(info->known == (members & ~long_members));
    assert_string_equal(info->name, "worker-with-a-l");
    assert_string_equal(info->executable_path, "/usr/bin/worker");
    assert_null(info->command_line);
    assert_null(info->command_line_bytes);
    assert_null(info->environment);
    assert_int_equal(info->is_web_job, 1);
    for (uint64_t rest = long_members; rest != 0; rest &= rest - 1)
        assert_int_equal(reason_of(info, rest & -rest)->code, PROCINSPECT_ERROR_TOO_LARGE);
}

static void long_ones_leave_room_for_the_others(void **state) {
    (void)state;
    char root[] = "/tmp/procinspect-shares-XXXXXX";
    assert_non_null(mkdtemp(root));
    make_tree(root);
    procinspect_context *context =
        context_of(root, PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    query.members = members;
    const procinspect_process_list *list;
    procinspect_error error;
    if (procinspect_process_list_read(context, &query, &list, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(list->count, LAST);
    is_ordinary(list->items[0]);
    for (int i = 1; i <= LONG_ONES; i++)
        is_cut(list->items[i]);
    is_ordinary(list->items[LAST - 1]);
    procinspect_process_list_free(list);

    const uint64_t members_alone = members | PROCINSPECT_PROCESS_WEB_JOB;
    const procinspect_process_info *alone = info_of(context, LONG_ONES, members_alone);
    assert_true(alone->known == members_alone);
    assert_int_equal(strlen(alone->command_line), LENGTH);
    assert_int_equal(strlen(alone->web_job_name), LENGTH - 13);
    procinspect_process_info_free(alone);
    procinspect_context_free(context);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_ones_leave_room_for_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
