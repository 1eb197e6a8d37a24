/* SPDX-License-Identifier: MIT */
#include "platform/capture/spool_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

char spool_directory[SPOOL_DIRECTORY_BYTES] = "/tmp/procinspect-spool-test-XXXXXX";

int spool_directory_make(void **state) {
    (void)state;
    return mkdtemp(spool_directory) == NULL || chmod(spool_directory, 0777) != 0;
}

int spool_directory_remove(void **state) {
    (void)state;
    return rmdir(spool_directory); /* which fails where anything is left in it */
}

pi_capture_request spool_request(void) {
    pi_capture_request request = copy_request();
    request.way = PROCINSPECT_DUMP_WAY_SPOOL;
    request.spool_directory = spool_directory;
    return request;
}

size_t spool_entries(void) {
    size_t count = 0;
    DIR *entries = opendir(spool_directory);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

void spool_expect(const pi_process *process, const pi_capture_request *request, int32_t code,
                  const char *text) {
    pi_snapshot *snapshot = NULL;
    procinspect_error error = {0};
    int32_t result = pi_capture(process, request, &snapshot, &error);
    const char *said = result == 0 ? snapshot->report.way_reason : error.message;
    bool is_right = result == code && strstr(said, text) != NULL &&
                    (result != 0 || snapshot->report.way == PROCINSPECT_DUMP_WAY_SPOOL);
    if (!is_right)
        fprintf(stderr, "%d instead of %d with \"%s\": %s\n", result, code, text, said);
    pi_snapshot_free(snapshot);
    if (!is_right)
        _exit(93);
}

void run_as_host(void (*check)(const pi_process *process), const pi_process *process) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        check(process);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("in the host's process: status 0x%x", (unsigned)status);
}
