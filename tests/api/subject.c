/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

procinspect_context *context_of(const char *root, uint32_t allow, uint32_t user_scope) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.proc_root = root;
    options.allow = allow;
    options.user_scope = user_scope;
    procinspect_context *context = NULL;
    procinspect_error error = {0};
    if (procinspect_context_new(&options, &context, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    return context;
}

procinspect_process *process_of(const procinspect_context *context, int32_t pid) {
    procinspect_process *process = NULL;
    procinspect_error error = {0};
    if (procinspect_process_open(context, pid, &process, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    return process;
}

const procinspect_process_info *info_of(const procinspect_context *context, int32_t pid,
                                        uint64_t members) {
    procinspect_process *process = process_of(context, pid);
    const procinspect_process_info *info = NULL;
    procinspect_error error = {0};
    if (procinspect_process_info_read(process, members, &info, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    procinspect_process_free(process);
    assert_int_equal(info->pid, pid);
    return info;
}

const procinspect_process_info *item_of(const procinspect_process_list *list, int32_t pid) {
    const procinspect_process_info *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (i != 0)
            assert_true(list->items[i]->pid > list->items[i - 1]->pid);
        if (list->items[i]->pid == pid)
            found = list->items[i];
    }
    return found;
}

const procinspect_unavailable *reason_of(const procinspect_process_info *info, uint64_t members) {
    assert_int_equal(info->known & members, 0);
    for (size_t i = 0; i < info->unavailable_count; i++)
        if ((info->unavailable[i]->members & members) == members)
            return info->unavailable[i];
    fail_msg("no reason for members 0x%llx", (unsigned long long)members);
    return NULL;
}

pid_t child_start(void (*body)(void)) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close(ready[0]);
        if (body != NULL)
            body();
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

void child_end(pid_t pid) {
    assert_true(pid > 0); /* else kill(2) takes it for a whole group, or for everybody */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int open_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* the directory's own */
}
