/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/fuse_mount.h"
#include "platform/hung_mount.h"
#include "platform/linux/file_systems.h"
#include "platform/module_process.h"

/* File systems that needn't answer, and what is read of processes that use them. */

static pi_file_systems add(const char *text, bool trusts_overlays) {
    pi_file_systems systems = {0};
    assert_int_equal(pi_file_systems_add(&systems, text, strlen(text), trusts_overlays), 0);
    return systems;
}

static void knows_the_kinds(void **state) {
    (void)state;
    static const char text[] =
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "27 1 254:0 / / rw,relatime master:1 propagate_from:2 - ext4 /dev/vda rw\n"
        "30 25 0:27 / /dev/shm rw shared:4 - tmpfs tmpfs rw\n"
        "31 27 0:40 / /mnt/with\\040space rw,nosuid - fuse.sshfs host:/ rw,user_id=0\n"
        "32 27 8:17 /part /media/ntfs rw - fuseblk /dev/sdb1 rw\n"
        "33 27 0:41 / /home rw - nfs4 server:/home rw,vers=4.2\n"
        "34 27 0:42 / /merged rw - overlay overlay rw,lowerdir=/a\n"
        "garbage\n"
        "35 27 0:43 / /cut rw - ext4 /dev/vda";
    pi_file_systems systems = add(text, false);
    assert_int_equal(systems.count, 7);
    assert_int_equal(systems.root->device_major, 254);
    assert_int_equal(pi_file_systems_of_mount(&systems, 27), PI_FILE_SYSTEM_DISK);
    assert_int_equal(pi_file_systems_of_mount(&systems, 30), PI_FILE_SYSTEM_MEMORY);
    assert_int_equal(pi_file_systems_of_mount(&systems, 31), PI_FILE_SYSTEM_REMOTE);
    assert_int_equal(pi_file_systems_of_mount(&systems, 33), PI_FILE_SYSTEM_REMOTE);
    assert_int_equal(pi_file_systems_of_mount(&systems, 34), PI_FILE_SYSTEM_REMOTE);
    assert_int_equal(pi_file_systems_of_mount(&systems, 35), PI_FILE_SYSTEM_REMOTE);
    assert_int_equal(pi_file_systems_of_device(&systems, 8, 17), PI_FILE_SYSTEM_REMOTE);
    assert_int_equal(pi_file_systems_of_device(&systems, 8, 18), PI_FILE_SYSTEM_DISK);
    assert_int_equal(pi_file_systems_of_device(&systems, 0, 99), PI_FILE_SYSTEM_REMOTE);
    pi_file_systems_free(&systems);
    systems = add(text, true);
    assert_int_equal(pi_file_systems_of_mount(&systems, 34), PI_FILE_SYSTEM_DISK);
    pi_file_systems_free(&systems);
}

static void the_own_root_is_a_disk(void **state) {
    (void)state;
    pi_file_systems systems = {0};
    struct stat status;
    assert_int_equal(pi_file_systems_read(&systems, AT_FDCWD), 0);
    assert_int_equal(stat("/", &status), 0);
    assert_true(systems.count > 0 && systems.has_own_root);
    assert_int_equal(
        pi_file_systems_of_device(&systems, systems.own_root_major, systems.own_root_minor),
        PI_FILE_SYSTEM_DISK);
    pi_file_systems_free(&systems);
}

static bool knows_own_root(void) {
    pi_file_systems systems = {0};
    bool knows = pi_file_systems_read(&systems, AT_FDCWD) == 0 && systems.has_own_root &&
                 pi_file_systems_of_device(&systems, systems.own_root_major,
                                           systems.own_root_minor) == PI_FILE_SYSTEM_DISK;
    pi_file_systems_free(&systems);
    return knows;
}

/* In a folder that nothing is mounted on: mountinfo has no line for such a root, and here there is
 * not even a /proc. */
static _Noreturn void be_in_chroot(const char *folder, int ready) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chroot(folder) != 0 && (unshare(CLONE_NEWUSER) != 0 || chroot(folder) != 0))
        _exit(77);
    if (chdir("/") != 0 || !knows_own_root() || write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void a_root_that_is_no_mount(void **state) {
    (void)state;
    char folder[FOLDER_SIZE], path[64], byte;
    int ready[2];
    folder_make(folder);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_in_chroot(folder, ready[1]);
    close(ready[1]);
    ssize_t got = read(ready[0], &byte, 1);
    close(ready[0]);
    if (got != 1) {
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        folder_remove(folder);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 77);
        print_message("no chroot for this user here\n");
        skip();
    }
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    int process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(process >= 0);
    pi_file_systems systems = {0};
    assert_int_equal(pi_file_systems_read(&systems, process), 0);
    assert_true(systems.may_open_root);
    pi_file_systems_free(&systems);
    close(process);
    target_end(pid);
    folder_remove(folder);
}

/* A process that uses a FUSE file system which no longer answers. */
typedef struct subject {
    char folder[FOLDER_SIZE];
    volatile bool *is_hung;
    pid_t pid;
    uint64_t data; /* where it has mapped a file, without touching it */
    uint64_t code;
} subject;

static void *read_program(size_t *length) {
    int file = open(TARGET("static"), O_RDONLY | O_CLOEXEC);
    struct stat status;
    assert_true(file >= 0 && fstat(file, &status) == 0);
    void *content = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    assert_ptr_not_equal(content, MAP_FAILED);
    close(file);
    *length = (size_t)status.st_size;
    return content;
}

static uint64_t map_untouched(const char *folder, const char *name, int protection) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    void *at = mmap(NULL, 65536, protection, MAP_PRIVATE, file, 0);
    close(file);
    return at == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)at;
}

static _Noreturn void be_subject(const subject *made, int ready, const void *content, size_t length,
                                 bool runs_from_it) {
    hung_mount mounted;
    uint64_t mappings[2] = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!hung_mount_enter(&mounted, made->folder, content, length, made->is_hung))
        _exit(77);
    if (runs_from_it) {
        char path[128];
        snprintf(path, sizeof path, "%s/program (deleted)", made->folder);
        dup2(ready, STDOUT_FILENO);
        execl(path, path, (char *)NULL);
        _exit(1);
    }
    mappings[0] = map_untouched(made->folder, "data", PROT_READ);
    mappings[1] = map_untouched(made->folder, "code", PROT_READ | PROT_EXEC);
    if (write(ready, mappings, sizeof mappings) == sizeof mappings)
        for (;;)
            pause();
    _exit(1);
}

static void subject_start(subject *made, bool runs_from_it) {
    size_t length;
    void *content = read_program(&length);
    folder_make(made->folder);
    made->is_hung = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(made->is_hung, MAP_FAILED);
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    made->pid = fork();
    assert_true(made->pid >= 0);
    if (made->pid == 0)
        be_subject(made, ready[1], content, length, runs_from_it);
    close(ready[1]);
    uint64_t mappings[2] = {0, 0};
    ssize_t got = read(ready[0], mappings, sizeof mappings);
    close(ready[0]);
    munmap(content, length);
    if (got <= 0) {
        int status;
        assert_int_equal(waitpid(made->pid, &status, 0), made->pid);
        folder_remove(made->folder);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
        print_message("no FUSE for this user here\n");
        skip();
    }
    made->data = mappings[0];
    made->code = mappings[1];
    *made->is_hung = true;
    alarm(2 * HUNG_MOUNT_SECONDS);
}

static void subject_end(const subject *made) {
    alarm(0);
    target_end(made->pid);
    munmap((void *)(uintptr_t)made->is_hung, 4096);
    folder_remove(made->folder);
}

static time_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void assert_prompt(time_t begin) {
    assert_in_range(now() - begin, 0, HUNG_MOUNT_SECONDS / 2);
}

static const procinspect_module_info *module_at(const module_answer *read, uint64_t base) {
    for (size_t i = 0; i < read->list->count; i++)
        if (read->list->items[i]->base_address == base)
            return read->list->items[i];
    return NULL;
}

static void modules_of_untouched_mappings(void **state) {
    (void)state;
    subject target;
    subject_start(&target, false);
    time_t begin = now();
    module_answer read = modules_read(target.pid);
    assert_prompt(begin);
    assert_null(module_at(&read, target.data));
    const procinspect_module_info *module = module_at(&read, target.code);
    assert_non_null(module);
    assert_string_equal(module->file_name, "code");
    assert_int_equal(module->flags, 0);
    assert_int_equal(module->size_bytes, 65536);
    assert_int_equal(module->known, PROCINSPECT_MODULE_PATH);
    assert_int_equal(module->unavailable_count, 1);
    assert_non_null(strstr(module->unavailable[0]->reason, "wait for ever"));
    modules_free(&read);
    subject_end(&target);
}

static void modules_of_a_running_program(void **state) {
    (void)state;
    subject target;
    char build_id[129];
    read_build_id(TARGET("static"), build_id);
    subject_start(&target, true);
    time_t begin = now();
    module_answer read = modules_read(target.pid);
    assert_prompt(begin);
    const procinspect_module_info *module = read.list->items[0];
    assert_true((module->flags & PROCINSPECT_MODULE_FLAG_EXECUTABLE) != 0);
    /* Its first page is in memory: the kernel needed it. */
    assert_build_id(module, build_id);
    assert_int_equal(module->known & PROCINSPECT_MODULE_IS_DEBUG, 0);
    modules_free(&read);
    subject_end(&target);
}

static void executable_called_deleted(void **state) {
    (void)state;
    subject target;
    procinspect_error error;
    pi_system *system;
    subject_start(&target, true);
    assert_int_equal(pi_system_open(NULL, &system, &error), 0);
    pi_arena *arena = pi_arena_new(sizeof(procinspect_process_list), 1 << 28);
    procinspect_process_list *list = pi_arena_root(arena);
    time_t begin = now();
    assert_int_equal(pi_processes_read(system,
                                       PROCINSPECT_PROCESS_BASIC | PROCINSPECT_PROCESS_EXECUTABLE,
                                       PI_ANY_USER, NULL, arena, list, &error),
                     0);
    assert_prompt(begin);
    bool is_there = false;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->pid == target.pid) {
            is_there = true;
            assert_int_equal(
                strncmp(list->items[i]->executable_path, target.folder, strlen(target.folder)), 0);
        }
    assert_true(is_there);
    pi_arena_free_root(list);
    pi_system_close(system);
    subject_end(&target);
}

static void files_that_take_parts_in_any_order(void **state) {
    (void)state;
    FILE *file = tmpfile();
    assert_true(pi_file_takes_any_order(fileno(file)));
    fclose(file);
    fuse_mount mount = fuse_start("x", 1);
    atomic_store(&mount.board->answers_flushes, 1);
    int other = open(mount.path, O_RDONLY | O_CLOEXEC);
    assert_true(other >= 0);
    assert_false(pi_file_takes_any_order(other));
    close(other);
    fuse_end(&mount);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_kinds),
        cmocka_unit_test(the_own_root_is_a_disk),
        cmocka_unit_test(a_root_that_is_no_mount),
        cmocka_unit_test(modules_of_untouched_mappings),
        cmocka_unit_test(modules_of_a_running_program),
        cmocka_unit_test(executable_called_deleted),
        cmocka_unit_test(files_that_take_parts_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
