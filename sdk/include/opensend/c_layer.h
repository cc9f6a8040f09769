// What a plugin in C writes again and again. C11; nothing in here is part of the binary contract.
#ifndef OPENSEND_C_LAYER_H
#define OPENSEND_C_LAYER_H

#include <string.h>

#include <opensend/plugin.h>

// Fills a caller's error, cut to its room; returns `code`.
static inline osp_status osp_fail(osp_error* out, osp_status code, const char* text) {
    if (out == NULL || out->size < sizeof *out) return code;
    size_t length = strlen(text);
    if (length > sizeof out->msg) length = sizeof out->msg;
    out->code = code;
    out->retry_after_ms = 0;
    out->msg_len = (uint32_t)length;
    memcpy(out->msg, text, length);
    return code;
}

// The i-th entry of an array that is walked by its stride.
static inline const void* osp_at(const void* first, uint32_t stride, uint32_t i) {
    return (const char*)first + (size_t)stride * i;
}

// Answers a token with the result struct of its kind.
static inline osp_status osp_done(const osp_host* host, osp_token token, const void* result) {
    const osp_completion completion = {sizeof completion, OSP_OK, result, NULL};
    return host->complete(host, token, &completion);
}

// Answers a token with a failure and one sentence for the operator.
static inline osp_status osp_refuse(
    const osp_host* host, osp_token token, osp_status status, const char* text
) {
    osp_error error = {.size = sizeof error};
    const osp_completion completion = {
        sizeof completion, osp_fail(&error, status, text), NULL, &error};
    return host->complete(host, token, &completion);
}

static inline osp_str osp_view(const char* text) {
    const osp_str view = {text, strlen(text)};
    return view;
}

// Compares in a time that depends on the lengths only.
static inline int osp_same(const void* a, size_t a_len, const void* b, size_t b_len) {
    const volatile unsigned char* x = (const volatile unsigned char*)a;
    const volatile unsigned char* y = (const volatile unsigned char*)b;
    unsigned char difference = a_len != b_len;
    for (size_t i = 0; i < a_len && i < b_len; ++i) difference |= x[i] ^ y[i];
    return difference == 0;
}

// Exports a plugin of one kind whose manifest osp_add_plugin made a header of. Needs kInstance and
// kTable; once per shared object, at file scope.
#define OSP_C_PLUGIN(iface_, kind_)                                                      \
    OSP_MANIFEST(0, OSP_MANIFEST_TEXT);                                                  \
    static const osp_kind osp_kind_ = {sizeof osp_kind_, 0,       iface_,         kind_, \
                                       &kInstance,       &kTable, OSP_SCHEMA_TEXT};      \
    static const osp_kind* const osp_kinds_[] = {&osp_kind_};                            \
    static const osp_plugin osp_plugin_ = {                                              \
        .size = sizeof osp_plugin_,                                                      \
        .magic = OSP_MAGIC,                                                              \
        .abi_major = OSP_ABI_MAJOR,                                                      \
        .abi_minor = OSP_ABI_MINOR,                                                      \
        .id = OSP_MANIFEST_ID,                                                           \
        .version = OSP_MANIFEST_VERSION,                                                 \
        .name = kind_,                                                                   \
        .vendor = "",                                                                    \
        .license = "",                                                                   \
        .homepage = "",                                                                  \
        .kinds = osp_kinds_,                                                             \
        .n_kinds = 1};                                                                   \
    const osp_plugin* osp_plugin_v1(void) { return &osp_plugin_; }

#endif
