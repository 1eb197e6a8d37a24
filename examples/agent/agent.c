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
#include <procinspect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WATCHED = 32768, MIB = 1024 * 1024 };

static struct {
    const char *directory;
    unsigned long long memory_mib, cpu_percent, limit_mib, interval_ms, dump_type, pid;
} settings = {.limit_mib = 1024, .interval_ms = 1000};

/* What was seen of a process last time. Its pid and start name it for ever. */
struct watched {
    int32_t pid;
    int is_dumped;
    uint64_t start_ns;
    uint64_t cpu_ns;
    uint64_t seen_ns;
};

/* By pid, which is how the list comes. */
struct watch_list {
    struct watched items[MOST_WATCHED];
    size_t count;
};

/* Where a dump goes, and how much room is left for it. */
struct destination {
    int descriptor;
    uint64_t room_bytes;
    int is_full;
    procinspect_stream *stream;
    const char *name;
    int percent;
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t bytes_in_directory(int directory) {
    uint64_t total = 0;
    DIR *listing = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (listing == NULL)
        err(1, "%s", settings.directory);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        struct stat status;
        if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            total += (uint64_t)status.st_size;
    }
    closedir(listing);
    return total;
}

static void show_progress(struct destination *to) {
    uint64_t done, total;
    procinspect_stream_progress(to->stream, &done, &total);
    int percent = total == 0 ? 100 : (int)(done * 100 / total);
    if (percent == to->percent)
        return;
    to->percent = percent;
    fprintf(stderr, "\r%s [%-25.*s] %3d %%%s", to->name, percent / 4, "#########################",
            percent, percent == 100 ? "\n" : "");
}

/* A sink: anything but 0 stops the stream. */
static int32_t write_part(void *user, const void *bytes, size_t length) {
    struct destination *to = user;
    to->is_full = length > to->room_bytes;
    if (to->is_full)
        return 1;
    to->room_bytes -= length;
    for (size_t done = 0; done < length;) {
        ssize_t written = write(to->descriptor, (const char *)bytes + done, length - done);
        if (written < 0)
            return 1;
        done += (size_t)written;
    }
    show_progress(to);
    return 0;
}

/* Under another name until it is whole. */
static int32_t write_zip(int directory, procinspect_dump *dump, const char *name,
                         procinspect_error *error) {
    procinspect_dump_stream_options options;
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    uint64_t used = bytes_in_directory(directory), limit = settings.limit_mib * MIB;
    struct destination to = {
        .room_bytes = used < limit ? limit - used : 0, .percent = -1, .name = name};
    char partial[300];
    snprintf(partial, sizeof partial, ".%s.partial", name);
    to.descriptor = openat(directory, partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to.descriptor < 0)
        err(1, "%s/%s", settings.directory, partial);
    int32_t code = procinspect_stream_open_dump(dump, &options, &to.stream, error);
    if (code == 0) {
        code = procinspect_stream_push(to.stream, write_part, &to, error);
        procinspect_stream_free(to.stream);
    }
    if (close(to.descriptor) != 0 || (code == 0 && renameat(directory, partial, directory, name)))
        err(1, "%s/%s", settings.directory, name);
    if (code != 0)
        unlinkat(directory, partial, 0);
    if (to.is_full)
        snprintf(error->message, sizeof error->message, "The directory has reached its %llu MiB.",
                 settings.limit_mib);
    return code;
}

/* Letters and digits of a name that the process chose itself. */
static void file_name_of(const procinspect_process_info *info, char name[256]) {
    size_t length = 0;
    for (const char *from = info->name; *from != '\0' && length < 64; from++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *from))
            name[length++] = *from;
    snprintf(name + length, 256 - length, "-%d-%lld.zip", info->pid, (long long)time(NULL));
}

static void take_dump(const procinspect_context *context, int directory,
                      const procinspect_process_info *info) {
    procinspect_dump_options options;
    procinspect_process *process = NULL;
    procinspect_dump *dump = NULL;
    procinspect_error error;
    char name[256];
    file_name_of(info, name);
    procinspect_dump_options_init(&options, sizeof options);
    options.type = (uint32_t)settings.dump_type;
    int32_t code = procinspect_process_open(context, info->pid, &process, &error);
    if (code == 0)
        code = procinspect_dump_capture(process, &options, &dump, &error);
    if (code == 0)
        code = write_zip(directory, dump, name, &error);
    if (code == 0)
        printf("%s\n", name);
    else
        fprintf(stderr, "%s: %s\n", name, error.message);
    fflush(stdout);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
}

/* What it was last time; of one that wasn't there then all is zero. */
static struct watched find(const struct watch_list *before, size_t *at, int32_t pid,
                           uint64_t start_ns) {
    while (*at < before->count && before->items[*at].pid < pid)
        (*at)++;
    if (*at < before->count && before->items[*at].pid == pid &&
        before->items[*at].start_ns == start_ns)
        return before->items[*at];
    return (struct watched){.pid = pid, .start_ns = start_ns};
}

static int is_beyond(const procinspect_process_info *info, const struct watched *before,
                     const struct watched *now) {
    if (settings.memory_mib != 0 && (info->known & PROCINSPECT_PROCESS_RESIDENT_MEMORY) &&
        info->resident_memory_bytes > settings.memory_mib * MIB)
        return 1;
    uint64_t cpu_ns = now->cpu_ns - before->cpu_ns, passed_ns = now->seen_ns - before->seen_ns;
    return settings.cpu_percent != 0 && before->seen_ns != 0 &&
           cpu_ns / (passed_ns / 100 + 1) >= settings.cpu_percent;
}

static void look(const procinspect_context *context, int directory, const struct watch_list *before,
                 struct watch_list *now) {
    procinspect_process_query query;
    const procinspect_process_list *list;
    procinspect_error error;
    size_t at = 0;
    procinspect_process_query_init(&query, sizeof query);
    query.members = PROCINSPECT_PROCESS_BASIC | PROCINSPECT_PROCESS_RESIDENT_MEMORY;
    if (procinspect_process_list_read(context, &query, &list, &error) != 0)
        errx(1, "%s", error.message);
    now->count = 0;
    for (size_t i = 0; i < list->count && now->count < MOST_WATCHED; i++) {
        const procinspect_process_info *info = list->items[i];
        if (settings.pid != 0 && (unsigned long long)info->pid != settings.pid)
            continue;
        struct watched last = find(before, &at, info->pid, info->start_time_since_boot_ns);
        struct watched *watched = &now->items[now->count++];
        *watched = last;
        watched->cpu_ns = info->user_cpu_time_ns + info->kernel_cpu_time_ns;
        watched->seen_ns = now_ns();
        if (!last.is_dumped && info->pid != getpid() && is_beyond(info, &last, watched)) {
            watched->is_dumped = 1; /* once, whether it can be had or not */
            take_dump(context, directory, info);
        }
    }
    procinspect_process_list_free(list);
}

static void read_settings(int count, char **arguments) {
    static const struct option names[] = {
        {"directory", 1, NULL, 'd'},   {"memory-mib", 1, NULL, 'm'},
        {"cpu-percent", 1, NULL, 'c'}, {"limit-mib", 1, NULL, 'l'},
        {"interval-ms", 1, NULL, 'i'}, {"dump-type", 1, NULL, 't'},
        {"pid", 1, NULL, 'p'},         {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(count, arguments, "", names, NULL)) != -1;) {
        unsigned long long number = optarg != NULL ? strtoull(optarg, NULL, 0) : 0;
        if (option == 'd')
            settings.directory = optarg;
        else if (option == 'm')
            settings.memory_mib = number;
        else if (option == 'c')
            settings.cpu_percent = number;
        else if (option == 'l')
            settings.limit_mib = number;
        else if (option == 'i')
            settings.interval_ms = number;
        else if (option == 't')
            settings.dump_type = number;
        else if (option == 'p')
            settings.pid = number;
        else
            exit(2);
    }
    if (settings.directory == NULL || settings.interval_ms == 0)
        errx(2, "--directory is needed, and an interval of at least 1 ms");
}

int main(int count, char **arguments) {
    static struct watch_list lists[2];
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_error error;
    read_settings(count, arguments);
    int directory = open(settings.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        err(1, "%s", settings.directory);
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    options.hold_buffer_bytes = settings.limit_mib * MIB; /* no zip of more is kept anyway */
    if (procinspect_context_new(&options, &context, &error) != 0)
        errx(1, "%s", error.message);
    const struct timespec interval = {(time_t)(settings.interval_ms / 1000),
                                      (long)(settings.interval_ms % 1000) * 1000000};
    for (unsigned round = 0;; round++) {
        look(context, directory, &lists[round % 2], &lists[(round + 1) % 2]);
        nanosleep(&interval, NULL);
    }
}
