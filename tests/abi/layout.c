/*
 * The layout of every public struct where pointers have 64 bits: a change that breaks a program
 * compiled before does not compile. Once released, a line that stands here never changes; members
 * are added at a struct's end. layout_coverage.py sees that no member is missing.
 */
#include <procinspect.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define OFFSET(type, member, bytes)                                                                \
    _Static_assert(offsetof(type, member) == (bytes), "offset of " #type "." #member)

SIZE(procinspect_access, 16);
OFFSET(procinspect_access, action, 0);
OFFSET(procinspect_access, pid, 4);
OFFSET(procinspect_access, user_id, 8);
OFFSET(procinspect_access, reserved, 12);

SIZE(procinspect_context_options, 104);
OFFSET(procinspect_context_options, struct_size, 0);
OFFSET(procinspect_context_options, allow, 4);
OFFSET(procinspect_context_options, user_scope, 8);
OFFSET(procinspect_context_options, max_concurrent_dumps, 12);
OFFSET(procinspect_context_options, max_dump_bytes, 16);
OFFSET(procinspect_context_options, hold_buffer_bytes, 24);
OFFSET(procinspect_context_options, max_pause_ms, 32);
OFFSET(procinspect_context_options, reserved, 36);
OFFSET(procinspect_context_options, proc_root, 40);
OFFSET(procinspect_context_options, redacted_names, 48);
OFFSET(procinspect_context_options, redacted_name_count, 56);
OFFSET(procinspect_context_options, authorize, 64);
OFFSET(procinspect_context_options, authorize_user, 72);
OFFSET(procinspect_context_options, max_copy_seconds, 80);
OFFSET(procinspect_context_options, reserved2, 84);
OFFSET(procinspect_context_options, max_copy_growth_bytes, 88);
OFFSET(procinspect_context_options, spool_directory, 96);

SIZE(procinspect_dump_options, 40);
OFFSET(procinspect_dump_options, struct_size, 0);
OFFSET(procinspect_dump_options, flags, 4);
OFFSET(procinspect_dump_options, type, 8);
OFFSET(procinspect_dump_options, way, 12);
OFFSET(procinspect_dump_options, max_pause_ms, 16);
OFFSET(procinspect_dump_options, reserved, 20);
OFFSET(procinspect_dump_options, max_dump_bytes, 24);
OFFSET(procinspect_dump_options, cancellation, 32);

SIZE(procinspect_dump_note, 16);
OFFSET(procinspect_dump_note, kind, 0);
OFFSET(procinspect_dump_note, tid, 4);
OFFSET(procinspect_dump_note, text, 8);

SIZE(procinspect_dump_report, 152);
OFFSET(procinspect_dump_report, pid, 0);
OFFSET(procinspect_dump_report, requested_type, 4);
OFFSET(procinspect_dump_report, effective_type, 8);
OFFSET(procinspect_dump_report, way, 12);
OFFSET(procinspect_dump_report, size_bytes, 16);
OFFSET(procinspect_dump_report, memory_bytes, 24);
OFFSET(procinspect_dump_report, unreadable_memory_bytes, 32);
OFFSET(procinspect_dump_report, thread_count, 40);
OFFSET(procinspect_dump_report, module_count, 44);
OFFSET(procinspect_dump_report, restarted_call_count, 48);
OFFSET(procinspect_dump_report, reserved, 52);
OFFSET(procinspect_dump_report, captured_at_unix_ns, 56);
OFFSET(procinspect_dump_report, pause_ns, 64);
OFFSET(procinspect_dump_report, pause_stop_ns, 72);
OFFSET(procinspect_dump_report, pause_registers_ns, 80);
OFFSET(procinspect_dump_report, pause_memory_ns, 88);
OFFSET(procinspect_dump_report, pause_resume_ns, 96);
OFFSET(procinspect_dump_report, total_ns, 104);
OFFSET(procinspect_dump_report, notes, 112);
OFFSET(procinspect_dump_report, note_count, 120);
OFFSET(procinspect_dump_report, pause_copy_ns, 128);
OFFSET(procinspect_dump_report, shared_memory_bytes, 136);
OFFSET(procinspect_dump_report, way_reason, 144);

SIZE(procinspect_dump_estimate, 72);
OFFSET(procinspect_dump_estimate, pid, 0);
OFFSET(procinspect_dump_estimate, requested_type, 4);
OFFSET(procinspect_dump_estimate, effective_type, 8);
OFFSET(procinspect_dump_estimate, way, 12);
OFFSET(procinspect_dump_estimate, size_bytes, 16);
OFFSET(procinspect_dump_estimate, memory_bytes, 24);
OFFSET(procinspect_dump_estimate, shared_memory_bytes, 32);
OFFSET(procinspect_dump_estimate, thread_count, 40);
OFFSET(procinspect_dump_estimate, module_count, 44);
OFFSET(procinspect_dump_estimate, estimated_at_unix_ns, 48);
OFFSET(procinspect_dump_estimate, notes, 56);
OFFSET(procinspect_dump_estimate, note_count, 64);

SIZE(procinspect_environment_variable, 40);
OFFSET(procinspect_environment_variable, name, 0);
OFFSET(procinspect_environment_variable, value, 8);
OFFSET(procinspect_environment_variable, value_bytes, 16);
OFFSET(procinspect_environment_variable, value_bytes_length, 24);
OFFSET(procinspect_environment_variable, is_redacted, 32);
OFFSET(procinspect_environment_variable, reserved, 36);

SIZE(procinspect_environment, 24);
OFFSET(procinspect_environment, items, 0);
OFFSET(procinspect_environment, count, 8);
OFFSET(procinspect_environment, pid, 16);

SIZE(procinspect_environment_query, 16);
OFFSET(procinspect_environment_query, struct_size, 0);
OFFSET(procinspect_environment_query, flags, 4);
OFFSET(procinspect_environment_query, name_contains, 8);

SIZE(procinspect_error, 512);
OFFSET(procinspect_error, code, 0);
OFFSET(procinspect_error, os_errno, 4);
OFFSET(procinspect_error, reserved, 8);
OFFSET(procinspect_error, message, 32);

SIZE(procinspect_http_options, 64);
OFFSET(procinspect_http_options, struct_size, 0);
OFFSET(procinspect_http_options, main_site_pid, 4);
OFFSET(procinspect_http_options, main_site, 8);
OFFSET(procinspect_http_options, main_site_user, 16);
OFFSET(procinspect_http_options, main_site_setting, 24);
OFFSET(procinspect_http_options, machine_name, 32);
OFFSET(procinspect_http_options, instance_id, 40);
OFFSET(procinspect_http_options, zip_flags, 48);
OFFSET(procinspect_http_options, reserved, 52);
OFFSET(procinspect_http_options, zip_max_support_bytes, 56);

SIZE(procinspect_http_request, 72);
OFFSET(procinspect_http_request, struct_size, 0);
OFFSET(procinspect_http_request, reserved, 4);
OFFSET(procinspect_http_request, method, 8);
OFFSET(procinspect_http_request, path, 16);
OFFSET(procinspect_http_request, path_length_bytes, 24);
OFFSET(procinspect_http_request, query, 32);
OFFSET(procinspect_http_request, query_length_bytes, 40);
OFFSET(procinspect_http_request, base_url, 48);
OFFSET(procinspect_http_request, cookie, 56);
OFFSET(procinspect_http_request, cancellation, 64);

SIZE(procinspect_http_header, 16);
OFFSET(procinspect_http_header, name, 0);
OFFSET(procinspect_http_header, value, 8);

SIZE(procinspect_http_response, 40);
OFFSET(procinspect_http_response, status, 0);
OFFSET(procinspect_http_response, reserved, 4);
OFFSET(procinspect_http_response, headers, 8);
OFFSET(procinspect_http_response, header_count, 16);
OFFSET(procinspect_http_response, body_size_bytes, 24);
OFFSET(procinspect_http_response, body, 32);

SIZE(procinspect_json, 16);
OFFSET(procinspect_json, text, 0);
OFFSET(procinspect_json, length_bytes, 8);

SIZE(procinspect_json_options, 24);
OFFSET(procinspect_json_options, struct_size, 0);
OFFSET(procinspect_json_options, flags, 4);
OFFSET(procinspect_json_options, collection_url, 8);
OFFSET(procinspect_json_options, machine_name, 16);

SIZE(procinspect_kill_options, 24);
OFFSET(procinspect_kill_options, struct_size, 0);
OFFSET(procinspect_kill_options, flags, 4);
OFFSET(procinspect_kill_options, grace_ms, 8);
OFFSET(procinspect_kill_options, timeout_ms, 12);
OFFSET(procinspect_kill_options, cancellation, 16);

SIZE(procinspect_kill_item, 32);
OFFSET(procinspect_kill_item, pid, 0);
OFFSET(procinspect_kill_item, parent_pid, 4);
OFFSET(procinspect_kill_item, outcome, 8);
OFFSET(procinspect_kill_item, reserved, 12);
OFFSET(procinspect_kill_item, name, 16);
OFFSET(procinspect_kill_item, text, 24);

SIZE(procinspect_kill_report, 64);
OFFSET(procinspect_kill_report, items, 0);
OFFSET(procinspect_kill_report, count, 8);
OFFSET(procinspect_kill_report, pid, 16);
OFFSET(procinspect_kill_report, is_exact, 20);
OFFSET(procinspect_kill_report, ended_count, 24);
OFFSET(procinspect_kill_report, already_gone_count, 28);
OFFSET(procinspect_kill_report, refused_count, 32);
OFFSET(procinspect_kill_report, survived_count, 36);
OFFSET(procinspect_kill_report, escaped_count, 40);
OFFSET(procinspect_kill_report, reserved, 44);
OFFSET(procinspect_kill_report, read_at_ns, 48);
OFFSET(procinspect_kill_report, total_ns, 56);

SIZE(procinspect_module_info, 160);
OFFSET(procinspect_module_info, known, 0);
OFFSET(procinspect_module_info, base_address, 8);
OFFSET(procinspect_module_info, size_bytes, 16);
OFFSET(procinspect_module_info, pid, 24);
OFFSET(procinspect_module_info, flags, 28);
OFFSET(procinspect_module_info, path, 32);
OFFSET(procinspect_module_info, file_name, 40);
OFFSET(procinspect_module_info, path_bytes, 48);
OFFSET(procinspect_module_info, path_bytes_length, 56);
OFFSET(procinspect_module_info, build_id, 64);
OFFSET(procinspect_module_info, build_id_length, 72);
OFFSET(procinspect_module_info, soname, 80);
OFFSET(procinspect_module_info, file_version, 88);
OFFSET(procinspect_module_info, file_version_parts, 96);
OFFSET(procinspect_module_info, package_name, 112);
OFFSET(procinspect_module_info, package_version, 120);
OFFSET(procinspect_module_info, is_debug, 128);
OFFSET(procinspect_module_info, reserved, 132);
OFFSET(procinspect_module_info, unavailable, 136);
OFFSET(procinspect_module_info, unavailable_count, 144);
OFFSET(procinspect_module_info, text_hash, 152);

SIZE(procinspect_module_list, 24);
OFFSET(procinspect_module_list, items, 0);
OFFSET(procinspect_module_list, count, 8);
OFFSET(procinspect_module_list, pid, 16);

SIZE(procinspect_module_query, 24);
OFFSET(procinspect_module_query, struct_size, 0);
OFFSET(procinspect_module_query, flags, 4);
OFFSET(procinspect_module_query, base_address, 8);
OFFSET(procinspect_module_query, members, 16);

SIZE(procinspect_open_file, 32);
OFFSET(procinspect_open_file, descriptor, 0);
OFFSET(procinspect_open_file, kind, 4);
OFFSET(procinspect_open_file, name, 8);
OFFSET(procinspect_open_file, name_bytes, 16);
OFFSET(procinspect_open_file, name_bytes_length, 24);

SIZE(procinspect_open_file_list, 24);
OFFSET(procinspect_open_file_list, items, 0);
OFFSET(procinspect_open_file_list, count, 8);
OFFSET(procinspect_open_file_list, pid, 16);

SIZE(procinspect_process_info, 280);
OFFSET(procinspect_process_info, known, 0);
OFFSET(procinspect_process_info, pid, 8);
OFFSET(procinspect_process_info, parent_pid, 12);
OFFSET(procinspect_process_info, process_group_id, 16);
OFFSET(procinspect_process_info, session_id, 20);
OFFSET(procinspect_process_info, os_state, 24);
OFFSET(procinspect_process_info, nice, 28);
OFFSET(procinspect_process_info, thread_count, 32);
OFFSET(procinspect_process_info, user_id, 36);
OFFSET(procinspect_process_info, tracer_pid, 40);
OFFSET(procinspect_process_info, open_file_count, 44);
OFFSET(procinspect_process_info, start_time_unix_ns, 48);
OFFSET(procinspect_process_info, start_time_since_boot_ns, 56);
OFFSET(procinspect_process_info, user_cpu_time_ns, 64);
OFFSET(procinspect_process_info, kernel_cpu_time_ns, 72);
OFFSET(procinspect_process_info, name, 80);
OFFSET(procinspect_process_info, user_name, 88);
OFFSET(procinspect_process_info, executable_path, 96);
OFFSET(procinspect_process_info, executable_path_bytes, 104);
OFFSET(procinspect_process_info, executable_path_bytes_length, 112);
OFFSET(procinspect_process_info, command_line, 120);
OFFSET(procinspect_process_info, command_line_bytes, 128);
OFFSET(procinspect_process_info, command_line_bytes_length, 136);
OFFSET(procinspect_process_info, virtual_memory_bytes, 144);
OFFSET(procinspect_process_info, peak_virtual_memory_bytes, 152);
OFFSET(procinspect_process_info, resident_memory_bytes, 160);
OFFSET(procinspect_process_info, peak_resident_memory_bytes, 168);
OFFSET(procinspect_process_info, data_memory_bytes, 176);
OFFSET(procinspect_process_info, swapped_memory_bytes, 184);
OFFSET(procinspect_process_info, child_pids, 192);
OFFSET(procinspect_process_info, child_count, 200);
OFFSET(procinspect_process_info, threads, 208);
OFFSET(procinspect_process_info, modules, 216);
OFFSET(procinspect_process_info, open_files, 224);
OFFSET(procinspect_process_info, environment, 232);
OFFSET(procinspect_process_info, is_management_site, 240);
OFFSET(procinspect_process_info, is_web_job, 244);
OFFSET(procinspect_process_info, web_job_name, 248);
OFFSET(procinspect_process_info, web_job_type, 256);
OFFSET(procinspect_process_info, unavailable, 264);
OFFSET(procinspect_process_info, unavailable_count, 272);

SIZE(procinspect_process_list, 16);
OFFSET(procinspect_process_list, items, 0);
OFFSET(procinspect_process_list, count, 8);

SIZE(procinspect_process_query, 16);
OFFSET(procinspect_process_query, struct_size, 0);
OFFSET(procinspect_process_query, flags, 4);
OFFSET(procinspect_process_query, members, 8);

SIZE(procinspect_dump_stream_options, 40);
OFFSET(procinspect_dump_stream_options, struct_size, 0);
OFFSET(procinspect_dump_stream_options, format, 4);
OFFSET(procinspect_dump_stream_options, cancellation, 8);
OFFSET(procinspect_dump_stream_options, level, 16);
OFFSET(procinspect_dump_stream_options, workers, 20);
OFFSET(procinspect_dump_stream_options, flags, 24);
OFFSET(procinspect_dump_stream_options, reserved, 28);
OFFSET(procinspect_dump_stream_options, max_support_bytes, 32);

SIZE(procinspect_zip_file, 96);
OFFSET(procinspect_zip_file, name, 0);
OFFSET(procinspect_zip_file, runtime, 8);
OFFSET(procinspect_zip_file, path, 16);
OFFSET(procinspect_zip_file, module_path, 24);
OFFSET(procinspect_zip_file, build_id, 32);
OFFSET(procinspect_zip_file, build_id_length, 40);
OFFSET(procinspect_zip_file, module_build_id, 48);
OFFSET(procinspect_zip_file, module_build_id_length, 56);
OFFSET(procinspect_zip_file, size_bytes, 64);
OFFSET(procinspect_zip_file, crc32, 72);
OFFSET(procinspect_zip_file, state, 76);
OFFSET(procinspect_zip_file, flags, 80);
OFFSET(procinspect_zip_file, reserved, 84);
OFFSET(procinspect_zip_file, reason, 88);

SIZE(procinspect_zip_manifest, 32);
OFFSET(procinspect_zip_manifest, items, 0);
OFFSET(procinspect_zip_manifest, count, 8);
OFFSET(procinspect_zip_manifest, pid, 16);
OFFSET(procinspect_zip_manifest, more_count, 20);
OFFSET(procinspect_zip_manifest, captured_at_unix_ns, 24);

SIZE(procinspect_thread_info, 88);
OFFSET(procinspect_thread_info, known, 0);
OFFSET(procinspect_thread_info, pid, 8);
OFFSET(procinspect_thread_info, tid, 12);
OFFSET(procinspect_thread_info, os_state, 16);
OFFSET(procinspect_thread_info, priority, 20);
OFFSET(procinspect_thread_info, nice, 24);
OFFSET(procinspect_thread_info, realtime_priority, 28);
OFFSET(procinspect_thread_info, scheduling_policy, 32);
OFFSET(procinspect_thread_info, wait_reason, 36);
OFFSET(procinspect_thread_info, start_time_unix_ns, 40);
OFFSET(procinspect_thread_info, user_cpu_time_ns, 48);
OFFSET(procinspect_thread_info, kernel_cpu_time_ns, 56);
OFFSET(procinspect_thread_info, name, 64);
OFFSET(procinspect_thread_info, unavailable, 72);
OFFSET(procinspect_thread_info, unavailable_count, 80);

SIZE(procinspect_thread_list, 24);
OFFSET(procinspect_thread_list, items, 0);
OFFSET(procinspect_thread_list, count, 8);
OFFSET(procinspect_thread_list, pid, 16);

SIZE(procinspect_thread_query, 16);
OFFSET(procinspect_thread_query, struct_size, 0);
OFFSET(procinspect_thread_query, tid, 4);
OFFSET(procinspect_thread_query, members, 8);

SIZE(procinspect_unavailable, 24);
OFFSET(procinspect_unavailable, members, 0);
OFFSET(procinspect_unavailable, code, 8);
OFFSET(procinspect_unavailable, os_errno, 12);
OFFSET(procinspect_unavailable, reason, 16);
