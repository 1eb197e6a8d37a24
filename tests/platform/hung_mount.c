/* SPDX-License-Identifier: MIT */
#include "platform/hung_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FOLDER_NODE = FUSE_ROOT_ID, FILE_NODE = 2, NAMES_VALID_SECONDS = 1000 };

typedef struct fuse_server {
    int device;
    const void *content;
    size_t length;
    volatile bool *is_hung;
} fuse_server;

static void reply(const fuse_server *server, uint64_t unique, int os_errno, const void *body,
                  size_t length) {
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + length), .error = -os_errno, .unique = unique};
    struct iovec parts[] = {{&header, sizeof header}, {(void *)(uintptr_t)body, length}};
    ssize_t written = writev(server->device, parts, 2);
    (void)written; /* the request may have been given up */
}

static struct fuse_attr attributes_of(const fuse_server *server, uint64_t node) {
    bool is_folder = node == FOLDER_NODE;
    return (struct fuse_attr){.ino = node,
                              .size = is_folder ? 0 : server->length,
                              .mode = is_folder ? S_IFDIR | 0755 : S_IFREG | 0755,
                              .nlink = 1,
                              .uid = geteuid(),
                              .gid = getegid(),
                              .blksize = 4096};
}

static void answer(const fuse_server *server, const struct fuse_in_header *in, const void *body) {
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                     .minor = 31,
                                     .max_write = 65536,
                                     .max_background = 16,
                                     .congestion_threshold = 12};
        reply(server, in->unique, 0, &init, sizeof init);
        break;
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out entry = {.nodeid = FILE_NODE,
                                       .entry_valid = NAMES_VALID_SECONDS,
                                       .attr = attributes_of(server, FILE_NODE)};
        reply(server, in->unique, 0, &entry, sizeof entry);
        break;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out out = {.attr = attributes_of(server, in->nodeid)};
        reply(server, in->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_OPEN: {
        struct fuse_open_out out = {.fh = 1};
        reply(server, in->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_READ: {
        const struct fuse_read_in *wanted = body;
        size_t offset = wanted->offset < server->length ? wanted->offset : server->length;
        size_t length = server->length - offset;
        if (length > wanted->size)
            length = wanted->size;
        reply(server, in->unique, 0, (const char *)server->content + offset, length);
        break;
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    case FUSE_RELEASE:
    case FUSE_FLUSH:
        reply(server, in->unique, 0, NULL, 0);
        break;
    default:
        reply(server, in->unique, ENOSYS, NULL, 0);
    }
}

static _Noreturn void serve(const fuse_server *server) {
    static _Alignas(8) char request[FUSE_MIN_READ_BUFFER + 65536 * 2];
    signal(SIGALRM, SIG_DFL);
    alarm(HUNG_MOUNT_SECONDS);
    for (;;) {
        ssize_t length = read(server->device, request, sizeof request);
        if (length < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
            _exit(0);
        if (length >= (ssize_t)sizeof(struct fuse_in_header) && !*server->is_hung)
            answer(server, (const void *)request, request + sizeof(struct fuse_in_header));
    }
}

static void write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t written = write(file, text, strlen(text));
    (void)written;
    close(file);
}

/* As root in our own user namespace; else in a new one, where we are root. */
static bool enter_namespaces(void) {
    if (geteuid() == 0)
        return unshare(CLONE_NEWNS) == 0;
    char map[64];
    snprintf(map, sizeof map, "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    write_text("/proc/self/uid_map", map);
    return true;
}

bool hung_mount_enter(hung_mount *mounted, const char *folder, const void *content, size_t length,
                      volatile bool *is_hung) {
    fuse_server server = {open("/dev/fuse", O_RDWR | O_CLOEXEC), content, length, is_hung};
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", server.device,
             (unsigned)geteuid(), (unsigned)getegid());
    if (server.device < 0 || !enter_namespaces() ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("fuse", folder, "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
        close(server.device);
        return false;
    }
    pid_t parent = getpid();
    mounted->is_hung = is_hung;
    mounted->server = fork();
    if (mounted->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
        serve(&server);
    }
    close(server.device);
    return mounted->server > 0;
}
