/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_MINIDUMP_FORMAT_H
#define PI_DUMP_MINIDUMP_FORMAT_H

#include <stdint.h>

/*
 * The numbers of the minidump format: Microsoft's, Breakpad's for Linux, and our own. All sizes are
 * those in the file, which is packed: sizeof of a C struct would say more for some of them.
 */

#define PI_MINIDUMP_SIGNATURE UINT32_C(0x504d444d) /* "MDMP" */
#define PI_MINIDUMP_VERSION UINT32_C(0xa793)

/* Stream types. */
#define PI_STREAM_THREAD_LIST UINT32_C(3)
#define PI_STREAM_MODULE_LIST UINT32_C(4)
#define PI_STREAM_MEMORY_LIST UINT32_C(5)
#define PI_STREAM_SYSTEM_INFO UINT32_C(7)
#define PI_STREAM_MEMORY64_LIST UINT32_C(9)
#define PI_STREAM_HANDLE_DATA UINT32_C(12)
#define PI_STREAM_MISC_INFO UINT32_C(15)
#define PI_STREAM_MEMORY_INFO_LIST UINT32_C(16)
#define PI_STREAM_THREAD_INFO_LIST UINT32_C(17)
#define PI_STREAM_THREAD_NAMES UINT32_C(24)
#define PI_STREAM_LINUX_CPU_INFO UINT32_C(0x47670003)
#define PI_STREAM_LINUX_STATUS UINT32_C(0x47670004)
#define PI_STREAM_LINUX_LSB_RELEASE UINT32_C(0x47670005)
#define PI_STREAM_LINUX_COMMAND_LINE UINT32_C(0x47670006)
#define PI_STREAM_LINUX_ENVIRONMENT UINT32_C(0x47670007)
#define PI_STREAM_LINUX_AUXILIARY_VECTOR UINT32_C(0x47670008)
#define PI_STREAM_LINUX_MAPS UINT32_C(0x47670009)
#define PI_STREAM_LIMITS UINT32_C(0x4d7a0003)
#define PI_STREAM_SOFT_ERRORS UINT32_C(0x4d7a0004) /* JSON, as Mozilla's writer has it */
#define PI_STREAM_REPORT UINT32_C(0x50490001) /* "PI", 1: procinspect_json_dump_report's text */

enum {
    PI_MINIDUMP_HEADER_BYTES = 32,
    PI_MINIDUMP_DIRECTORY_ENTRY_BYTES = 12,
    PI_MINIDUMP_THREAD_BYTES = 48,
    PI_MINIDUMP_THREAD_NAME_BYTES = 12,
    PI_MINIDUMP_MODULE_BYTES = 108,
    PI_MINIDUMP_MEMORY_DESCRIPTOR_BYTES = 16,
    PI_MINIDUMP_MEMORY64_HEAD_BYTES = 16,
    PI_MINIDUMP_MEMORY64_DESCRIPTOR_BYTES = 16,
    PI_MINIDUMP_SYSTEM_INFO_BYTES = 56,
    PI_MINIDUMP_MISC_INFO_BYTES = 24, /* its first version */
    PI_MINIDUMP_HANDLE_HEADER_BYTES = 16,
    PI_MINIDUMP_HANDLE_BYTES = 32, /* its first version: the second adds what Windows knows of it */
    PI_MINIDUMP_MEMORY_INFO_HEADER_BYTES = 16,
    PI_MINIDUMP_MEMORY_INFO_BYTES = 48,
    PI_MINIDUMP_THREAD_INFO_HEADER_BYTES = 12,
    PI_MINIDUMP_THREAD_INFO_BYTES = 64,
    PI_MINIDUMP_CONTEXT_AMD64_BYTES = 1232,
    PI_MINIDUMP_CONTEXT_ARM64_BYTES = 912
};

/* SystemInfo. */
#define PI_PROCESSOR_ARCHITECTURE_AMD64 UINT16_C(9)
#define PI_PROCESSOR_ARCHITECTURE_ARM64 UINT16_C(12)
#define PI_PLATFORM_LINUX UINT32_C(0x8201)

/* MiscInfo's flags: which of its members mean something. */
#define PI_MISC_INFO_PROCESS_ID UINT32_C(0x1)
#define PI_MISC_INFO_PROCESS_TIMES UINT32_C(0x2)

/* Contexts' flags: the architecture, and which groups of registers are there. */
#define PI_CONTEXT_AMD64_FLAGS                                                                     \
    UINT32_C(0x0010000f)                            /* control, integer, segments, floating point  \
                                                     */
#define PI_CONTEXT_ARM64_FLAGS UINT32_C(0x00400007) /* control, integer, floating point */

/* Modules. */
#define PI_VERSION_INFO_SIGNATURE UINT32_C(0xfeef04bd)
#define PI_VERSION_INFO_VERSION UINT32_C(0x00010000)
#define PI_CODE_VIEW_ELF_BUILD_ID UINT32_C(0x4270454c)

/* HandleData: the attributes of a handle, and the access that it grants. */
#define PI_HANDLE_ATTRIBUTE_INHERIT UINT32_C(0x2)
#define PI_HANDLE_READ_DATA UINT32_C(0x1)
#define PI_HANDLE_WRITE_DATA UINT32_C(0x2)
#define PI_HANDLE_APPEND_DATA UINT32_C(0x4)

/* MemoryInfoList: protection, state and type of a region. */
#define PI_PAGE_NO_ACCESS UINT32_C(0x1)
#define PI_PAGE_READ_ONLY UINT32_C(0x2)
#define PI_PAGE_READ_WRITE UINT32_C(0x4)
#define PI_PAGE_EXECUTE UINT32_C(0x10)
#define PI_PAGE_EXECUTE_READ UINT32_C(0x20)
#define PI_PAGE_EXECUTE_READ_WRITE UINT32_C(0x40)
#define PI_MEMORY_STATE_COMMIT UINT32_C(0x1000)
#define PI_MEMORY_TYPE_PRIVATE UINT32_C(0x20000)
#define PI_MEMORY_TYPE_MAPPED UINT32_C(0x40000)
#define PI_MEMORY_TYPE_IMAGE UINT32_C(0x1000000)

/* ThreadInfoList: what is said of a thread, and the exit status of one that runs. */
#define PI_THREAD_INFO_ERROR_THREAD UINT32_C(0x1)
#define PI_THREAD_INFO_WRITING_THREAD UINT32_C(0x2)
#define PI_THREAD_INFO_INVALID_INFO UINT32_C(0x8)
#define PI_THREAD_INFO_STILL_ACTIVE UINT32_C(0x103)
#define PI_RESULT_FAILED UINT32_C(0x80004005) /* E_FAIL */

/* What readers built on Breakpad take: beyond it they refuse the whole list. */
enum {
    PI_READER_MAX_THREADS = 4096,
    PI_READER_MAX_REGIONS = 4096,
    PI_READER_MAX_MODULES = 2048,
    PI_READER_MAX_STRING_UNITS = 1024, /* UTF-16 */
    PI_READER_MAX_REGION_BYTES = 64 * 1024 * 1024
};

#endif
