#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <opensend/plugin.h>

namespace opensend::testing_support {

/// What arrived through complete(), copied.
struct Completed {
    struct Rcpt {
        int32_t outcome = -1;
        uint32_t index = 0;
        uint16_t code = 0, rclass = 0, stage = 0;
        uint16_t enhanced[3] = {0, 0, 0};
        std::string remote_id, remote_host, remote_addr, tls, diag, transcript;
    };
    osp_status status = 1;
    int times = 0;
    std::vector<Rcpt> rcpts;
};

/// Host side of one instance: records completions and hands out secrets. Safe from any thread.
class SmtpFakeHost {
public:
    SmtpFakeHost() {
        host_.size = sizeof host_;
        host_.magic = OSP_MAGIC;
        host_.abi_major = OSP_ABI_MAJOR;
        host_.abi_minor = OSP_ABI_MINOR;
        host_.name = "fake";
        host_.version = "1";
        host_.self = this;
        host_.get_interface = GetInterface;
        host_.complete = Complete;
        host_.log = Log;
        host_.now = Now;
        host_.unix_ms = UnixMs;
        secret_.size = sizeof secret_;
        secret_.with = With;
        blob_.size = sizeof blob_;
        blob_.read_at = ReadAt;
    }

    const osp_host* host() const { return &host_; }
    std::map<std::string, std::string> secrets;
    std::string blob;  // what every osp_blob holds
    bool record = true;

    Completed Get(osp_token token) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return completed_[token];
    }
    size_t completions() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return count_;
    }
    size_t accepted() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return accepted_;
    }

    static uint64_t Monotonic() {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
    }

private:
    static SmtpFakeHost& Self(const osp_host* host) {
        return *static_cast<SmtpFakeHost*>(host->self);
    }
    static std::string Text(osp_str text) {
        return text.ptr == nullptr ? std::string() : std::string(text.ptr, text.len);
    }

    static const void* GetInterface(const osp_host* host, const char* id) noexcept {
        if (std::strcmp(id, OSP_HOST_SECRET) == 0) return &Self(host).secret_;
        if (std::strcmp(id, OSP_HOST_BLOB) == 0) return &Self(host).blob_;
        return nullptr;
    }
    static osp_status With(
        const osp_host* host, osp_str ref, void (*use)(void*, osp_bytes) noexcept, void* context
    ) noexcept {
        const auto found = Self(host).secrets.find(Text(ref));
        if (found == Self(host).secrets.end()) return OSP_E_NOTFOUND;
        const void* bytes = found->second.data();
        use(context, {static_cast<const uint8_t*>(bytes), found->second.size()});
        return OSP_OK;
    }
    static osp_status ReadAt(
        const osp_host* host,
        const osp_blob*,
        uint64_t offset,
        void* buffer,
        size_t length,
        size_t* got
    ) noexcept {
        const std::string& blob = Self(host).blob;
        if (offset > blob.size()) return OSP_E_INVALID;
        *got = std::min<size_t>({length, blob.size() - offset, 1000});
        std::memcpy(buffer, blob.data() + offset, *got);
        return OSP_OK;
    }
    static void Log(const osp_host*, int32_t, osp_str, const osp_kv*, uint32_t) noexcept {}
    static osp_time Now(const osp_host*) noexcept { return Monotonic(); }
    static int64_t UnixMs(const osp_host*) noexcept { return 0; }

    static Completed::Rcpt Copy(const osp_rcpt_result& from) {
        Completed::Rcpt to;
        to.outcome = from.outcome;
        to.index = from.rcpt_index;
        to.code = from.smtp_code;
        to.rclass = from.rclass;
        to.stage = from.stage;
        std::copy(std::begin(from.enhanced), std::end(from.enhanced), std::begin(to.enhanced));
        to.remote_id = Text(from.remote_id);
        to.remote_host = Text(from.remote_host);
        to.remote_addr = Text(from.remote_addr);
        to.tls = Text(from.tls);
        to.diag = Text(from.diag);
        to.transcript = Text(from.transcript);
        return to;
    }

    static osp_status Complete(
        const osp_host* host, osp_token token, const osp_completion* completion
    ) noexcept {
        SmtpFakeHost& self = Self(host);
        const std::lock_guard<std::mutex> lock(self.mutex_);
        ++self.count_;
        const auto* result = static_cast<const osp_msg_result*>(completion->result);
        if (result != nullptr && result->all.outcome == OSP_OUT_ACCEPTED) ++self.accepted_;
        if (!self.record) return OSP_OK;
        Completed& mine = self.completed_[token];
        if (++mine.times > 1) return OSP_E_STATE;
        mine.status = completion->status;
        if (result == nullptr) return OSP_OK;
        if (result->n == 0) mine.rcpts.push_back(Copy(result->all));
        for (uint32_t i = 0; i < result->n; ++i) mine.rcpts.push_back(Copy(result->rcpts[i]));
        return OSP_OK;
    }

    osp_host host_{};
    osp_host_secret_v1 secret_{};
    osp_host_blob_v1 blob_{};
    std::mutex mutex_;
    std::map<osp_token, Completed> completed_;
    size_t count_ = 0;
    size_t accepted_ = 0;
};

/// A plugin opened by path, never closed.
inline const osp_plugin* OpenPlugin(const std::string& path) {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw std::runtime_error(dlerror());
    using Entry = const osp_plugin* (*)();
    return reinterpret_cast<Entry>(dlsym(handle, "osp_plugin_v1"))();
}

/// A created and started instance of one of its kinds.
class PluginInstance {
public:
    PluginInstance(
        const osp_plugin* plugin,
        const std::string& kind,
        SmtpFakeHost& host,
        const std::string& config
    ) {
        for (uint32_t i = 0; i < plugin->n_kinds; ++i) {
            if (kind == plugin->kinds[i]->name) kind_ = plugin->kinds[i];
        }
        error_.size = sizeof error_;
        osp_create_args args{};
        args.size = sizeof args;
        args.host = host.host();
        args.instance = OSP_S("transport.test");
        args.config = {config.data(), config.size()};
        status_ = kind_->instance->create(&args, &instance_, &error_);
        if (status_ == OSP_OK) status_ = kind_->instance->start(instance_, &error_);
    }
    ~PluginInstance() {
        if (instance_ == nullptr) return;
        kind_->instance->stop(instance_);
        kind_->instance->destroy(instance_);
    }
    PluginInstance(const PluginInstance&) = delete;
    PluginInstance& operator=(const PluginInstance&) = delete;

    osp_status status() const { return status_; }
    std::string error() const { return {error_.msg, error_.msg_len}; }
    osp_error* last_error() { return &error_; }
    osp_inst* get() const { return instance_; }
    const osp_instance_vt& vt() const { return *kind_->instance; }
    const osp_transport_v1& transport() const {
        return *static_cast<const osp_transport_v1*>(kind_->table);
    }

private:
    const osp_kind* kind_ = nullptr;
    osp_inst* instance_ = nullptr;
    osp_error error_{};
    osp_status status_ = OSP_E_STATE;
};

/// One message for a batch; keeps what the views point to.
class TestMessage {
public:
    TestMessage(osp_token token, std::string from, std::vector<std::string> to, std::string data)
        : from_(std::move(from)), to_(std::move(to)), data_(std::move(data)) {
        for (const std::string& address : to_) {
            rcpts_.push_back({
                sizeof(osp_rcpt), 0, {address.data(),      address.size()},
                  {                   }
            });
        }
        msg_.size = sizeof msg_;
        msg_.token = token;
        msg_.mail_from = {from_.data(), from_.size()};
        msg_.rcpts = rcpts_.data();
        msg_.n_rcpts = static_cast<uint32_t>(rcpts_.size());
        msg_.rcpt_stride = sizeof(osp_rcpt);
        const void* bytes = data_.data();
        msg_.data = {static_cast<const uint8_t*>(bytes), data_.size()};
    }
    TestMessage(const TestMessage&) = delete;
    TestMessage& operator=(const TestMessage&) = delete;
    osp_msg& msg() { return msg_; }

private:
    std::string from_;
    std::vector<std::string> to_;
    std::string data_;
    std::vector<osp_rcpt> rcpts_;
    osp_msg msg_{};
};

}  // namespace opensend::testing_support
