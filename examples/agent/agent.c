/* SPDX-License-Identifier: MIT */
/*
 * A diagnostics agent: watches the processes that it may look at, and writes a zipped dump of each
 * that takes more memory or processor time than it should into a directory with a size limit. With
 * --pid it watches that one alone.
 * usage: agent --directory DIR [--memory-mib N] [--cpu-percent N] [--limit-mib N] [--interval-ms N]
 *              [--dump-type N] [--pid N]
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <procinspect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1024 * 1024, REMEMBERED = 1000 };

static const char *folder;
static unsigned long long memory_mib, cpu_percent, limit_mib = 1024, interval_ms = 1000, dump_type,
                                                   only_pid;
static int directory; /* the folder, opened */

static uint64_t room_in_directory(void) {
    uint64_t room = limit_mib * MIB;
    DIR *listing = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (listing == NULL)
        err(1, "%s", folder);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        struct stat status;
        if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            room -= (uint64_t)status.st_size < room ? (uint64_t)status.st_size : room;
    }
    closedir(listing);
    return room;
}

static void show_progress(const procinspect_stream *stream, const char *name, int *percent_before) {
    uint64_t done, total;
    procinspect_stream_progress(stream, &done, &total);
    int percent = total == 0 ? 100 : (int)(done * 100 / total);
    if (percent != *percent_before)
        fprintf(stderr, "\r%s [%-25.*s] %3d %%%s", name, percent / 4, "#########################",
                percent, percent == 100 ? "\n" : "");
    *percent_before = percent;
}

/* What went wrong, NULL for nothing; error has room for it. */
static const char *write_stream(procinspect_stream *stream, int file, const char *name,
                                procinspect_error *error) {
    static char part[256 * 1024];
    size_t length;
    int percent = -1;
    for (uint64_t room = room_in_directory();; room -= length) {
        if (procinspect_stream_read(stream, part, sizeof part, &length, error) != 0)
            return error->message;
        if (length == 0)
            return NULL;
        if (length > room) {
            snprintf(error->message, sizeof error->message,
                     "The directory has reached its %llu MiB.", limit_mib);
            return error->message;
        }
        if (write(file, part, length) != (ssize_t)length)
            return "The file can't be written.";
        show_progress(stream, name, &percent);
    }
}

/* Under another name until it is whole. */
static const char *write_zip(procinspect_dump *dump, const char *name, procinspect_error *error) {
    procinspect_dump_stream_options options;
    procinspect_stream *stream;
    char partial[300];
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    if (procinspect_stream_open_dump(dump, &options, &stream, error) != 0)
        return error->message;
    snprintf(partial, sizeof partial, ".%s.partial", name);
    int file = openat(directory, partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        err(1, "%s/%s", folder, partial);
    const char *problem = write_stream(stream, file, name, error);
    procinspect_stream_free(stream);
    if (close(file) != 0 || (problem == NULL && renameat(directory, partial, directory, name) != 0))
        err(1, "%s/%s", folder, name);
    if (problem != NULL)
        unlinkat(directory, partial, 0);
    return problem;
}

static void take_dump(const procinspect_context *context, const procinspect_process_info *info) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    procinspect_dump_options options;
    procinspect_process *process = NULL;
    procinspect_dump *dump = NULL;
    procinspect_error error;
    char name[256]; /* with what is safe at the start of a name that the process chose itself */
    size_t length = strspn(info->name, letters);
    snprintf(name, sizeof name, "%.*s-%d-%lld.zip", length < 64 ? (int)length : 64, info->name,
             info->pid, (long long)time(NULL));
    procinspect_dump_options_init(&options, sizeof options);
    options.type = (uint32_t)dump_type;
    const char *problem = NULL;
    if (procinspect_process_open(context, info->pid, &process, &error) != 0 ||
        procinspect_dump_capture(process, &options, &dump, &error) != 0)
        problem = error.message;
    else
        problem = write_zip(dump, name, &error);
    fprintf(problem == NULL ? stdout : stderr, "%s%s%s\n", name, problem == NULL ? "" : ": ",
            problem == NULL ? "" : problem);
    fflush(stdout);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
}

/* Pid and start name a process for ever. */
static int is_same(const procinspect_process_info *one, const procinspect_process_info *other) {
    return one->pid == other->pid &&
           one->start_time_since_boot_ns == other->start_time_since_boot_ns;
}

static int is_beyond(const procinspect_process_info *info, const procinspect_process_info *before,
                     uint64_t passed_ns) {
    if (memory_mib != 0 && (info->known & PROCINSPECT_PROCESS_RESIDENT_MEMORY) &&
        info->resident_memory_bytes > memory_mib * MIB)
        return 1;
    if (cpu_percent == 0 || before == NULL)
        return 0;
    uint64_t cpu_ns = info->user_cpu_time_ns + info->kernel_cpu_time_ns - before->user_cpu_time_ns -
                      before->kernel_cpu_time_ns;
    return cpu_ns / (passed_ns / 100 + 1) >= cpu_percent;
}

/* Each is dumped once, whether that can be had or not; of very many the first may come again. */
static int is_first_time(const procinspect_process_info *info) {
    static procinspect_process_info seen[REMEMBERED]; /* pid and start alone */
    static size_t count;
    for (size_t i = 0; i < REMEMBERED; i++)
        if (is_same(&seen[i], info))
            return 0;
    seen[count % REMEMBERED].pid = info->pid;
    seen[count++ % REMEMBERED].start_time_since_boot_ns = info->start_time_since_boot_ns;
    return 1;
}

/* Both lists are by ascending pid; before is NULL at the first look. */
static void compare(const procinspect_context *context, const procinspect_process_list *now,
                    const procinspect_process_list *before, uint64_t passed_ns) {
    for (size_t i = 0, at = 0; i < now->count; i++) {
        const procinspect_process_info *info = now->items[i], *last = NULL;
        while (before != NULL && at < before->count && before->items[at]->pid < info->pid)
            at++;
        if (before != NULL && at < before->count && is_same(before->items[at], info))
            last = before->items[at];
        int is_watched = only_pid == 0 ? info->pid != getpid() : info->pid == (int32_t)only_pid;
        if (is_watched && is_beyond(info, last, passed_ns) && is_first_time(info))
            take_dump(context, info);
    }
}

static void read_settings(int count, char **arguments) {
    static const struct option names[] = {{"directory", 1, NULL, 0},   {"memory-mib", 1, NULL, 0},
                                          {"cpu-percent", 1, NULL, 0}, {"limit-mib", 1, NULL, 0},
                                          {"interval-ms", 1, NULL, 0}, {"dump-type", 1, NULL, 0},
                                          {"pid", 1, NULL, 0},         {NULL, 0, NULL, 0}};
    unsigned long long *const numbers[] = {NULL,         &memory_mib, &cpu_percent, &limit_mib,
                                           &interval_ms, &dump_type,  &only_pid};
    for (int option, index; (option = getopt_long(count, arguments, "", names, &index)) != -1;) {
        if (option != 0)
            exit(2);
        if (numbers[index] != NULL)
            *numbers[index] = strtoull(optarg, NULL, 0);
        else
            folder = optarg;
    }
    if (folder == NULL || interval_ms == 0)
        errx(2, "--directory is needed, and an interval of at least 1 ms");
    directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        err(1, "%s", folder);
}

int main(int count, char **arguments) {
    procinspect_context_options options;
    procinspect_process_query query;
    procinspect_context *context;
    const procinspect_process_list *now, *before = NULL;
    procinspect_error error;
    struct timespec time, time_before = {0};
    read_settings(count, arguments);
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    if (procinspect_context_new(&options, &context, &error) != 0)
        errx(1, "%s", error.message);
    procinspect_process_query_init(&query, sizeof query);
    query.members = PROCINSPECT_PROCESS_BASIC | PROCINSPECT_PROCESS_RESIDENT_MEMORY;
    for (;; before = now, time_before = time) {
        clock_gettime(CLOCK_MONOTONIC, &time);
        if (procinspect_process_list_read(context, &query, &now, &error) != 0)
            errx(1, "%s", error.message);
        compare(context, now, before,
                (uint64_t)(time.tv_sec - time_before.tv_sec) * 1000000000u +
                    (uint64_t)(time.tv_nsec - time_before.tv_nsec));
        procinspect_process_list_free(before);
        poll(NULL, 0, (int)interval_ms);
    }
}
