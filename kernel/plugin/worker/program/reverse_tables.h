#pragma once

#include <cstdint>
#include <string_view>

#include <opensend/plugin.h>

namespace opensend::plugin::worker {

class ReverseHost;

/// The C functions that the plugin calls; each finds its ReverseHost through osp_host.self.
struct ReverseTables {
    static osp_host MakeHost(ReverseHost* self);
    static const void* Find(std::string_view id, uint64_t granted);

    static ReverseHost& Of(const osp_host* host);
    static const void* GetInterface(const osp_host* host, const char* id) noexcept;
    static osp_status Complete(
        const osp_host* host, osp_token token, const osp_completion* completion
    ) noexcept;
    static void Log(
        const osp_host* host, int32_t level, osp_str text, const osp_kv* fields, uint32_t n
    ) noexcept;
    static osp_time Now(const osp_host* host) noexcept;
    static int64_t UnixMs(const osp_host* host) noexcept;

    static uint64_t MetricDefine(
        const osp_host* host,
        int32_t type,
        osp_str name,
        osp_str help,
        const osp_kv* labels,
        uint32_t n
    ) noexcept;
    static void MetricAdd(const osp_host* host, uint64_t handle, int64_t value) noexcept;
    static void MetricObserve(const osp_host* host, uint64_t handle, double value) noexcept;
    static osp_status SecretWith(
        const osp_host* host, osp_str ref, void (*use)(void*, osp_bytes) noexcept, void* context
    ) noexcept;
    static osp_status SecretWatch(
        const osp_host* host, osp_str ref, void (*changed)(void*) noexcept, void* context
    ) noexcept;
    static osp_status KvGet(
        const osp_host* host,
        osp_str key,
        void (*use)(void*, osp_bytes, uint64_t) noexcept,
        void* context
    ) noexcept;
    static osp_status KvPut(
        const osp_host* host, osp_str key, osp_bytes value, uint64_t expect, uint64_t ttl
    ) noexcept;
    static osp_status KvDelete(const osp_host* host, osp_str key, uint64_t expect) noexcept;
    static uint64_t TimerArm(
        const osp_host* host,
        osp_time at,
        uint64_t period,
        void (*fire)(void*, uint64_t) noexcept,
        void* context
    ) noexcept;
    static osp_status TimerDisarm(const osp_host* host, uint64_t id) noexcept;
    static uint64_t HttpStart(
        const osp_host* host, const osp_http_call* call, osp_error* error
    ) noexcept;
    static void HttpCancel(const osp_host* host, uint64_t id) noexcept;
    static osp_status Emit(
        const osp_host* host, const osp_event_batch* batch, osp_error* error
    ) noexcept;
    static osp_status IngestBegin(
        const osp_host* host, const osp_ingest_args* args, osp_ingest** out, osp_error* error
    ) noexcept;
    static osp_status IngestRcpt(osp_ingest* mail, osp_str address, osp_error* error) noexcept;
    static osp_status IngestWrite(osp_ingest* mail, osp_bytes bytes, osp_error* error) noexcept;
    static osp_status IngestCommit(
        osp_ingest* mail,
        void (*done)(void*, osp_status, const osp_ingest_res*) noexcept,
        void* context,
        osp_error* error
    ) noexcept;
    static void IngestAbort(osp_ingest* mail) noexcept;
    static osp_status CredentialFind(
        const osp_host* host,
        osp_str ref,
        osp_time deadline,
        void (*done)(void*, osp_status, const osp_credential*) noexcept,
        void* context
    ) noexcept;
    static osp_status CredentialMac(
        const osp_host* host, uint32_t kid, osp_bytes data, uint8_t out[32]
    ) noexcept;
};

}  // namespace opensend::plugin::worker
