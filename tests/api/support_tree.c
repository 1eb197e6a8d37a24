/* SPDX-License-Identifier: MIT */
#include "api/support_tree.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zlib.h>

static char folder[64];
static procinspect_stream *stream;

/* /tmp is everybody's to write. */
int support_setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/procinspect-support-XXXXXX",
             geteuid() == 0 ? "/var/lib" : "/tmp");
    stream = NULL;
    return mkdtemp(folder) != NULL && chmod(folder, 0755) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

int support_teardown(void **state) {
    (void)state;
    procinspect_stream_free(stream);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *support_path(const char *name) {
    static char paths[4][SUPPORT_PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 4];
    assert_true(snprintf(path, SUPPORT_PATH_SIZE, "%s/%s", folder, name) < SUPPORT_PATH_SIZE);
    return path;
}

void make_folders(const char *name) {
    char path[SUPPORT_PATH_SIZE];
    strcpy(path, support_path(name));
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
}

static void write_bytes(const char *path, const void *bytes, size_t length) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, length), length);
    assert_int_equal(fchmod(file, 0644), 0);
    close(file);
}

static unsigned char *read_bytes(const char *path, size_t *length) {
    enum { MOST_BYTES = 1024 * 1024 };
    unsigned char *bytes = malloc(MOST_BYTES);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0 && bytes != NULL);
    ssize_t got = read(file, bytes, MOST_BYTES);
    assert_in_range(got, 1, MOST_BYTES - 1);
    close(file);
    *length = (size_t)got;
    return bytes;
}

void copy_library(const char *library, const char *name) {
    char from[SUPPORT_PATH_SIZE];
    size_t length;
    snprintf(from, sizeof from, TESTS_BUILD_DIR "/api/%s", library);
    unsigned char *bytes = read_bytes(from, &length);
    make_folders(name);
    write_bytes(support_path(name), bytes, length);
    free(bytes);
}

void write_file(const char *name, const char *text) {
    make_folders(name);
    write_bytes(support_path(name), text, strlen(text));
}

void make_dotnet(void) {
    copy_library("libcoreclr.so", DOTNET "/libcoreclr.so");
    copy_library("libmscordaccore.so", DOTNET "/libmscordaccore.so");
    copy_library("libmscordbi.so", DOTNET "/libmscordbi.so");
}

static bool map(const char *name) {
    int file = open(support_path(name), O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0)
        return false;
    void *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    close(file);
    return mapped != MAP_FAILED && *(volatile char *)mapped == 0x7f;
}

enum { READY = 'r', CANNOT = 'c', FAILED = 'f' };

static char become(const char *const *names, size_t count, int how, bool (*prepare)(void)) {
    if ((how & IN_OTHER_MOUNTS) != 0 &&
        (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) != 0))
        return CANNOT;
    if (prepare != NULL && !prepare())
        return CANNOT;
    for (size_t i = 0; i < count; i++)
        if (!map(names[i]))
            return FAILED;
    if (geteuid() == 0 && (how & AS_ROOT) == 0 &&
        setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) != 0)
        return FAILED;
    prctl(PR_SET_PDEATHSIG, SIGKILL);          /* which setresuid has cleared */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama asks for it */
    return READY;
}

pid_t start_mapping(const char *const *names, size_t count, int how, bool (*prepare)(void)) {
    int ready[2];
    char said = FAILED;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char outcome = become(names, count, how, prepare);
        if (write(ready[1], &outcome, 1) != 1 || outcome != READY)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &said, 1), 1);
    close(ready[0]);
    if (said == CANNOT) {
        end_mapping(pid);
        print_message("this user, or this kernel, can't make the mounts that it takes\n");
        skip();
    }
    assert_int_equal(said, READY);
    return pid;
}

void end_mapping(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

procinspect_stream *open_zip_of(pid_t pid, uint32_t flags, uint64_t max_support_bytes) {
    procinspect_context_options context_options;
    procinspect_dump_stream_options options;
    procinspect_context *context;
    procinspect_process *process;
    procinspect_dump *dump;
    procinspect_error error = {0};
    procinspect_context_options_init(&context_options, sizeof context_options);
    context_options.allow = PROCINSPECT_ALLOW_DUMP;
    context_options.max_pause_ms = 60000; /* of a machine that a hundred others want */
    context_options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    assert_int_equal(procinspect_context_new(&context_options, &context, NULL), 0);
    assert_int_equal(procinspect_process_open(context, pid, &process, NULL), 0);
    procinspect_dump_capture(process, NULL, &dump, &error);
    assert_string_equal(error.message, "");
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    options.flags = flags;
    options.max_support_bytes = max_support_bytes;
    procinspect_stream_free(stream);
    assert_int_equal(procinspect_stream_open_dump(dump, &options, &stream, NULL), 0);
    assert_null(procinspect_stream_zip_manifest(stream));
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return stream;
}

static int32_t drop(void *user, const void *bytes, size_t length) {
    (void)user;
    (void)bytes;
    (void)length;
    return 0;
}

const procinspect_zip_manifest *read_to_end(procinspect_stream *read) {
    procinspect_error error = {0};
    procinspect_stream_push(read, drop, NULL, &error);
    assert_string_equal(error.message, "");
    const procinspect_zip_manifest *manifest = procinspect_stream_zip_manifest(read);
    assert_non_null(manifest);
    assert_string_equal(manifest->items[0]->name, "minidump.dmp");
    return manifest;
}

const procinspect_zip_manifest *read_zip_of(pid_t pid, uint32_t flags, uint64_t max_support_bytes) {
    return read_to_end(open_zip_of(pid, flags, max_support_bytes));
}

const procinspect_zip_file *line_of(const procinspect_zip_manifest *manifest, const char *name) {
    for (size_t i = 1; i < manifest->count; i++)
        if (strcmp(strrchr(manifest->items[i]->path, '/') + 1, name) == 0)
            return manifest->items[i];
    return NULL;
}

void assert_whole(const procinspect_zip_manifest *manifest, const char *name) {
    const procinspect_zip_file *line = line_of(manifest, strrchr(name, '/') + 1);
    size_t length;
    assert_non_null(line);
    assert_string_equal(line->reason != NULL ? line->reason : "", "");
    assert_int_equal(line->state, PROCINSPECT_ZIP_FILE_WHOLE);
    assert_string_equal(line->path, support_path(name));
    unsigned char *bytes = read_bytes(line->path, &length);
    assert_int_equal(line->size_bytes, length);
    assert_int_equal(line->crc32, crc32_z(0, bytes, length));
    free(bytes);
}

void assert_missing(const procinspect_zip_manifest *manifest, const char *name, uint32_t state,
                    const char *reason) {
    const procinspect_zip_file *line = line_of(manifest, name);
    assert_non_null(line);
    if (line->reason == NULL || strstr(line->reason, reason) == NULL)
        fail_msg("%s: '%s', not '%s'", name, line->reason, reason);
    assert_int_equal(line->state, state);
    assert_null(line->name);
    assert_int_equal(line->size_bytes, 0);
}

size_t count_lines(const procinspect_zip_manifest *manifest) {
    size_t count = 0;
    for (size_t i = 1; i < manifest->count; i++)
        count += strncmp(manifest->items[i]->module_path, folder, strlen(folder)) == 0;
    return count;
}

size_t count_others(uint64_t *size_bytes) {
    pid_t pid = start_mapping(NULL, 0, 0, NULL);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, 0, 0);
    size_t count = 0;
    *size_bytes = 0;
    for (size_t i = 1; i < manifest->count; i++) {
        count += manifest->items[i]->state == PROCINSPECT_ZIP_FILE_WHOLE;
        *size_bytes += manifest->items[i]->size_bytes;
    }
    end_mapping(pid);
    return count;
}

void skip_unless_root(void) {
    if (geteuid() != 0) {
        print_message("only root can lay out what a debugger may trust\n");
        skip();
    }
}
