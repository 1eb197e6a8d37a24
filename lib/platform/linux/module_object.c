/* SPDX-License-Identifier: MIT */
#include "platform/linux/module_object.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "platform/linux/module_file.h"

/*
 * What one call may read of all objects together: more than 5,000 modules take, of a target that
 * makes its ELF headers as long as they may be the work of about a second.
 */
enum { MAX_WORK = 1 << 20, WORK_OF_SYSTEM_CALL = 16 };

void pi_module_object_note_failure(pi_module_object *object, int os_errno) {
    if (object->exhausted_errno == 0 && pi_is_exhaustion(os_errno))
        object->exhausted_errno = os_errno;
}

static bool take_work(pi_module_object *object, uint32_t work) {
    if (object->work_left < work) {
        object->work_left = 0;
        object->read_errno = EFBIG;
        return false;
    }
    object->work_left -= work;
    return true;
}

void pi_module_object_init(pi_module_object *object, const pi_process *process) {
    memset(object, 0, offsetof(pi_module_object, pages));
    object->process = process;
    object->file = -1;
    object->work_left = MAX_WORK;
    pi_module_object_note_failure(object,
                                  -pi_file_systems_read(&object->systems, process->directory));
}

static void close_lazy(pi_lazy_descriptor *lazy) {
    if (lazy->is_tried)
        pi_close(lazy->descriptor);
}

void pi_module_object_close(pi_module_object *object) {
    pi_close(object->file);
    close_lazy(&object->root);
    close_lazy(&object->memory);
    close_lazy(&object->pagemap);
    pi_file_systems_free(&object->systems);
    pi_buffer_free(&object->name);
}

static int open_at(pi_module_object *object, pi_lazy_descriptor *lazy, int directory,
                   const char *name, int flags) {
    if (!lazy->is_tried) {
        do
            lazy->descriptor = openat(directory, name, flags | O_CLOEXEC);
        while (lazy->descriptor < 0 && errno == EINTR);
        lazy->os_errno = lazy->descriptor < 0 ? errno : 0;
        pi_module_object_note_failure(object, lazy->os_errno);
        lazy->is_tried = true;
    }
    return lazy->descriptor;
}

static int open_lazy(pi_module_object *object, pi_lazy_descriptor *lazy, const char *name,
                     int flags) {
    return open_at(object, lazy, object->process->directory, name, flags);
}

/* How many bytes from this address on are in pages that are there. */
static size_t count_present(pi_module_object *object, uint64_t address, size_t length) {
    static const uint64_t present = UINT64_C(1) << 63;
    enum { MOST_AT_ONCE = 64 };
    uint64_t entries[MOST_AT_ONCE], size = (uint64_t)sysconf(_SC_PAGESIZE), first = address / size;
    int pagemap = open_lazy(object, &object->pagemap, "pagemap", O_RDONLY | O_NOFOLLOW);
    if (pagemap < 0 || length == 0 || length - 1 > UINT64_MAX - address ||
        first > INT64_MAX / sizeof entries[0])
        return 0;
    uint64_t wanted = (address + length - 1) / size - first + 1;
    size_t bytes = (size_t)(wanted < MOST_AT_ONCE ? wanted : MOST_AT_ONCE) * sizeof entries[0];
    ssize_t got = pread(pagemap, entries, bytes, (off_t)(first * sizeof entries[0]));
    size_t count = 0;
    while (got > 0 && count < (size_t)got / sizeof entries[0] && (entries[count] & present) != 0)
        count++;
    uint64_t there = count == 0 ? 0 : (first + count) * size - address;
    return there < length ? (size_t)there : length;
}

/* As many of the bytes as there are; what ends it early is left in read_errno. */
static size_t read_source(pi_module_object *object, uint64_t position, void *buffer,
                          size_t length) {
    int descriptor = object->file, end_errno = 0;
    object->read_errno = 0;
    if (descriptor < 0) {
        descriptor = open_lazy(object, &object->memory, "mem", O_RDONLY | O_NOFOLLOW);
        if (descriptor < 0) {
            object->read_errno = object->memory.os_errno;
            return 0;
        }
        if (__builtin_add_overflow(position, object->source.base, &position))
            return 0;
        if (object->is_memory_checked) {
            size_t there = count_present(object, position, length);
            end_errno = there < length ? ENODATA : 0;
            length = there;
        }
    }
    size_t done = 0;
    while (done < length && position <= (uint64_t)INT64_MAX - done) {
        ssize_t got =
            pread(descriptor, (char *)buffer + done, length - done, (off_t)(position + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            object->read_errno = errno;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done == length && end_errno != 0)
        object->read_errno = end_errno;
    return done;
}

/* NULL where no work is left. */
static const pi_object_page *page_at(pi_module_object *object, uint64_t position) {
    for (unsigned i = 0; i < PI_OBJECT_PAGE_COUNT; i++)
        if (object->pages[i].length != 0 && object->pages[i].position == position)
            return &object->pages[i];
    if (!take_work(object, WORK_OF_SYSTEM_CALL))
        return NULL;
    pi_object_page *page = &object->pages[object->next_page++ % PI_OBJECT_PAGE_COUNT];
    page->position = position;
    page->length = read_source(object, position, page->bytes, sizeof page->bytes);
    return page;
}

static size_t read_paged(void *user, uint64_t position, void *buffer, size_t length) {
    pi_module_object *object = user;
    uint64_t in_page = position % PI_OBJECT_PAGE_SIZE;
    if (position == 0 && length == PI_OBJECT_PAGE_SIZE) /* the headers: once for each object */
        return read_source(object, position, buffer, length);
    if (!take_work(object, 1))
        return 0;
    if (length > PI_OBJECT_PAGE_SIZE - in_page)
        return take_work(object, WORK_OF_SYSTEM_CALL)
                   ? read_source(object, position, buffer, length)
                   : 0;
    const pi_object_page *page = page_at(object, position - in_page);
    if (page == NULL || page->length <= in_page)
        return 0;
    size_t there = page->length - (size_t)in_page;
    size_t copied = there < length ? there : length;
    memcpy(buffer, page->bytes + in_page, copied);
    return copied;
}

static void turn_to(pi_module_object *object, int file, uint64_t base, uint64_t size_bytes) {
    pi_close(object->file);
    object->file = file;
    object->read_errno = 0;
    object->source = (pi_elf_source){
        .read = read_paged,
        .user = object,
        .is_memory = file < 0,
        .base = base,
        .size_bytes = size_bytes,
    };
    for (unsigned i = 0; i < PI_OBJECT_PAGE_COUNT; i++)
        object->pages[i].length = 0;
}

void pi_module_object_use_memory(pi_module_object *object, uint64_t address, uint64_t size_bytes) {
    object->file_errno = ENOENT;
    object->is_path_stale = false;
    object->is_memory_checked = false;
    turn_to(object, -1, address, size_bytes);
}

void pi_module_object_use_own_vdso(pi_module_object *object) {
    enum { MORE_THAN_ANY = 1024 * 1024 };
    close_lazy(&object->memory);
    object->memory.is_tried = false;
    open_at(object, &object->memory, AT_FDCWD, "/proc/self/mem", O_RDONLY | O_NOFOLLOW);
    pi_module_object_use_memory(object, getauxval(AT_SYSINFO_EHDR), MORE_THAN_ANY);
}

int pi_module_object_use_root(pi_module_object *object, int root) {
    int descriptor = fcntl(root, F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    object->root = (pi_lazy_descriptor){.is_tried = true, .descriptor = descriptor};
    return 0;
}

/* Who couldn't look has only the kernel's word for it. */
static bool is_stale(const pi_module_file *file, const pi_mapping *mapping) {
    bool is_another = file->os_errno == ESTALE || file->os_errno == ENOENT ||
                      file->os_errno == ENOTDIR || file->os_errno == ELOOP;
    return (file->is_looked_for && is_another) || mapping->is_marked_deleted;
}

static pi_file_system kind_of(const pi_module_object *object, const pi_mapping *mapping) {
    return pi_file_systems_of_device(&object->systems, mapping->device_major,
                                     mapping->device_minor);
}

/* The file behind the mapping: by its path, else through the kernel. */
static pi_module_file find_file(pi_module_object *object, const pi_mapping *header, char *path,
                                size_t path_length) {
    int process = object->process->directory;
    pi_module_file found = {.descriptor = -1, .os_errno = EREMOTE};
    if (kind_of(object, header) == PI_FILE_SYSTEM_REMOTE)
        return found;
    pi_module_roots roots = {.root = -1, .systems = &object->systems};
    bool has_root = object->root.is_tried || object->systems.may_open_root;
    if (has_root) {
        roots.root = open_lazy(object, &object->root, "root", O_PATH | O_DIRECTORY);
        found.os_errno = object->root.os_errno;
    }
    if (roots.root >= 0 || !has_root)
        found = pi_module_file_find(&roots, header, path, path_length);
    if (found.descriptor < 0)
        found.descriptor = pi_module_file_open_mapped(process, header);
    if (found.descriptor < 0)
        pi_module_object_note_failure(object, errno);
    pi_module_object_note_failure(object, found.os_errno);
    return found;
}

int pi_module_object_use_mapping(pi_module_object *object, const pi_mapping *header) {
    int process = object->process->directory;
    int result = pi_buffer_reserve(&object->name, header->path_length + 1);
    if (result != 0)
        return result;
    char *path = object->name.data;
    size_t path_length = pi_module_file_name(process, header, path);
    pi_module_file found = find_file(object, header, path, path_length);
    if (header->is_marked_deleted && !found.is_mark_a_name) {
        path_length -= header->path_length - pi_mapping_path_length_without_mark(header);
        path[path_length] = '\0';
    }
    object->path = path;
    object->path_length = path_length;
    object->is_path_stale = !found.is_path_good && is_stale(&found, header);
    object->file_errno = found.os_errno;
    object->is_memory_checked = kind_of(object, header) != PI_FILE_SYSTEM_DISK;
    turn_to(object, found.descriptor, header->start, header->end - header->start);
    return 0;
}

bool pi_module_object_may_be_elf(pi_module_object *object, const pi_mapping *header) {
    char magic[SELFMAG];
    pi_module_object_use_memory(object, header->start, sizeof magic);
    object->is_memory_checked = true;
    size_t length = read_source(object, 0, magic, sizeof magic);
    if (length == sizeof magic)
        return memcmp(magic, ELFMAG, SELFMAG) == 0;
    bool nobody_knows = object->memory.os_errno != 0 || object->read_errno == ENODATA;
    return nobody_knows && kind_of(object, header) != PI_FILE_SYSTEM_REMOTE;
}
