/* SPDX-License-Identifier: MIT */
#include "platform/linux/module_object.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "platform/linux/module_file.h"

void pi_module_object_init(pi_module_object *object, const pi_process *process) {
    memset(object, 0, offsetof(pi_module_object, pages));
    object->process = process;
    object->file = -1;
}

static void close_lazy(pi_lazy_descriptor *lazy) {
    if (lazy->is_tried)
        pi_close(lazy->descriptor);
}

void pi_module_object_close(pi_module_object *object) {
    pi_close(object->file);
    close_lazy(&object->root);
    close_lazy(&object->memory);
    pi_buffer_free(&object->name);
}

static int open_lazy(pi_lazy_descriptor *lazy, int directory, const char *name, int flags) {
    if (!lazy->is_tried) {
        do
            lazy->descriptor = openat(directory, name, flags | O_CLOEXEC);
        while (lazy->descriptor < 0 && errno == EINTR);
        lazy->os_errno = lazy->descriptor < 0 ? errno : 0;
        lazy->is_tried = true;
    }
    return lazy->descriptor;
}

/* As many of the bytes as there are; what ends it early is left in read_errno. */
static size_t read_source(pi_module_object *object, uint64_t position, void *buffer,
                          size_t length) {
    int descriptor = object->file;
    object->read_errno = 0;
    if (descriptor < 0) {
        descriptor =
            open_lazy(&object->memory, object->process->directory, "mem", O_RDONLY | O_NOFOLLOW);
        if (descriptor < 0) {
            object->read_errno = object->memory.os_errno;
            return 0;
        }
        if (__builtin_add_overflow(position, object->source.base, &position))
            return 0;
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
    return done;
}

static const pi_object_page *page_at(pi_module_object *object, uint64_t position) {
    for (unsigned i = 0; i < PI_OBJECT_PAGE_COUNT; i++)
        if (object->pages[i].length != 0 && object->pages[i].position == position)
            return &object->pages[i];
    pi_object_page *page = &object->pages[object->next_page++ % PI_OBJECT_PAGE_COUNT];
    page->position = position;
    page->length = read_source(object, position, page->bytes, sizeof page->bytes);
    return page;
}

static size_t read_paged(void *user, uint64_t position, void *buffer, size_t length) {
    pi_module_object *object = user;
    uint64_t in_page = position % PI_OBJECT_PAGE_SIZE;
    if (length > PI_OBJECT_PAGE_SIZE - in_page || (position == 0 && length == PI_OBJECT_PAGE_SIZE))
        return read_source(object, position, buffer, length);
    const pi_object_page *page = page_at(object, position - in_page);
    if (page->length <= in_page)
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
    turn_to(object, -1, address, size_bytes);
}

void pi_module_object_use_own_vdso(pi_module_object *object) {
    enum { MORE_THAN_ANY = 1024 * 1024 };
    close_lazy(&object->memory);
    object->memory.is_tried = false;
    open_lazy(&object->memory, AT_FDCWD, "/proc/self/mem", O_RDONLY | O_NOFOLLOW);
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
static bool is_stale(int os_errno, const pi_mapping *mapping) {
    bool looked =
        os_errno == ESTALE || os_errno == ENOENT || os_errno == ENOTDIR || os_errno == ELOOP;
    return looked || mapping->is_marked_deleted;
}

int pi_module_object_use_mapping(pi_module_object *object, const pi_mapping *header) {
    int process = object->process->directory;
    int result = pi_buffer_reserve(&object->name, header->path_length + 1);
    if (result != 0)
        return result;
    char *path = object->name.data;
    size_t path_length = pi_module_file_name(process, header, path);
    int root = open_lazy(&object->root, process, "root", O_PATH | O_DIRECTORY);
    pi_module_file found = root >= 0 ? pi_module_file_find(root, header, path, path_length)
                                     : (pi_module_file){.descriptor = -1, .os_errno = EACCES};
    if (header->is_marked_deleted && !found.is_mark_a_name) {
        path_length -= header->path_length - pi_mapping_path_length_without_mark(header);
        path[path_length] = '\0';
    }
    object->path = path;
    object->path_length = path_length;
    object->is_path_stale = !found.is_path_good && is_stale(found.os_errno, header);
    object->file_errno = found.os_errno;
    int file = found.descriptor;
    if (file < 0)
        file = pi_module_file_open_mapped(process, header);
    turn_to(object, file, header->start, header->end - header->start);
    return 0;
}

bool pi_module_object_may_be_elf(pi_module_object *object, uint64_t address) {
    char magic[SELFMAG];
    pi_module_object_use_memory(object, address, sizeof magic);
    size_t length = read_source(object, 0, magic, sizeof magic);
    if (length < sizeof magic)
        return object->memory.os_errno != 0;
    return memcmp(magic, ELFMAG, SELFMAG) == 0;
}
