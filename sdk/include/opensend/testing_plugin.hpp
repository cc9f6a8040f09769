// Included by testing.hpp: how completions are copied, a loaded shared object, a running instance.
#pragma once

#include <opensend/testing.hpp>

namespace osp::testing {

inline RcptAnswer CopyRcpt(const osp_rcpt_result& from) {
    RcptAnswer to;
    to.outcome = from.outcome;
    to.index = from.rcpt_index;
    to.retry_after_ms = from.retry_after_ms;
    to.smtp_code = from.smtp_code;
    std::memcpy(to.enhanced, from.enhanced, sizeof to.enhanced);
    to.rclass = from.rclass;
    to.stage = from.stage;
    to.remote_id = View(from.remote_id);
    to.diag = View(from.diag);
    to.transcript = View(from.transcript);
    return to;
}

inline void CopyTransport(const osp_msg_result& from, Answer& to) {
    to.readable =
        from.size >= sizeof(osp_msg_result) && from.n <= 100'000 &&
        (from.n == 0 || (from.rcpts != nullptr && from.stride >= sizeof(osp_rcpt_result)));
    if (!to.readable) return;
    to.all = CopyRcpt(from.all);
    for (uint32_t i = 0; i < from.n; ++i)
        to.rcpts.push_back(CopyRcpt(At(from.rcpts, from.stride, i)));
}

inline void CopyAuth(const osp_auth_result& from, Answer& to) {
    to.readable = from.size >= sizeof(osp_auth_result) && from.n_scopes <= 100 &&
                  (from.n_scopes == 0 || from.scopes != nullptr);
    if (!to.readable) return;
    to.decision = from.decision;
    to.subject = View(from.subject);
    to.tenant = View(from.tenant);
    to.challenge = View(from.challenge);
    to.reason = View(from.reason);
    for (uint32_t i = 0; i < from.n_scopes; ++i) to.scopes.emplace_back(View(from.scopes[i]));
}

inline void CopyHttp(const osp_http_res& from, Answer& to) {
    to.readable = from.size >= sizeof(osp_http_res);
    if (!to.readable) return;
    to.http_status = from.status;
    to.body = View(from.body);
}

inline Answer CopyAnswer(TokenKind kind, const osp_completion& completion) {
    Answer to;
    to.status = completion.status;
    if (completion.error != nullptr && completion.error->size >= sizeof(osp_error) &&
        completion.error->msg_len <= sizeof completion.error->msg)
        to.error.assign(completion.error->msg, completion.error->msg_len);
    if (completion.status != OSP_OK || completion.result == nullptr) return to;
    switch (kind) {
        case TokenKind::kTransport:
            CopyTransport(*static_cast<const osp_msg_result*>(completion.result), to);
            break;
        case TokenKind::kAuth:
            CopyAuth(*static_cast<const osp_auth_result*>(completion.result), to);
            break;
        case TokenKind::kInbound:
            CopyHttp(*static_cast<const osp_http_res*>(completion.result), to);
            break;
        case TokenKind::kOther: break;
    }
    return to;
}

/// A shared object and one of its kinds. Throws std::runtime_error when that does not work.
class Plugin {
public:
    Plugin(const std::string& path, const std::string& kind_name) {
        void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        void* symbol = handle == nullptr ? nullptr : dlsym(handle, "osp_plugin_v1");
        if (symbol == nullptr) throw std::runtime_error(dlerror());
        const osp_plugin* plugin = reinterpret_cast<const osp_plugin* (*)()>(symbol)();
        for (uint32_t i = 0; i < plugin->n_kinds; ++i) {
            if (kind_name == plugin->kinds[i]->name) kind_ = plugin->kinds[i];
        }
        if (kind_ == nullptr) throw std::runtime_error("no kind " + kind_name);
    }
    template <class Table>
    const Table& table() const {
        return *static_cast<const Table*>(kind_->table);
    }
    const osp_instance_vt& instance() const { return *kind_->instance; }

private:
    const osp_kind* kind_ = nullptr;
};

/// A started instance; stopped and destroyed at the end.
class Running {
public:
    Running(const Plugin& plugin, const FakeHost& host, std::string_view config = "{}")
        : vt_(plugin.instance()) {
        osp_error error{};
        error.size = sizeof error;
        osp_create_args args{};
        args.size = sizeof args;
        args.host = host.table();
        args.instance = Str("test");
        args.config = Str(config);
        status_ = vt_.create(&args, &inst_, &error);
        if (status_ == OSP_OK && vt_.start != nullptr) {
            status_ = vt_.start(inst_, &error);
            started_ = status_ == OSP_OK;
        }
        text_.assign(error.msg, error.msg_len);
    }
    ~Running() {
        if (inst_ == nullptr) return;
        if ((started_ || vt_.start == nullptr) && vt_.stop != nullptr) vt_.stop(inst_);
        vt_.destroy(inst_);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    osp_inst* raw() const { return inst_; }
    osp_status status() const { return status_; }
    const std::string& error() const { return text_; }

private:
    const osp_instance_vt& vt_;
    osp_inst* inst_ = nullptr;
    osp_status status_ = OSP_OK;
    bool started_ = false;
    std::string text_;
};

/// A message with one recipient each, as a batch of its own memory; opens its token at the host.
class TestMessage {
public:
    TestMessage(FakeHost& host, std::string data, std::vector<std::string> rcpts)
        : data_(std::move(data)), addresses_(std::move(rcpts)) {
        for (const std::string& address : addresses_) {
            rcpts_.push_back({});
            rcpts_.back().size = sizeof(osp_rcpt);
            rcpts_.back().addr = Str(address);
        }
        msg.size = sizeof msg;
        msg.token = host.Open(TokenKind::kTransport);
        msg.id = Str("test-message");
        msg.mail_from = Str("sender@example.com");
        msg.rcpts = rcpts_.data();
        msg.n_rcpts = static_cast<uint32_t>(rcpts_.size());
        msg.rcpt_stride = sizeof(osp_rcpt);
        msg.data = Bytes(data_);
        msg.total_size = data_.size();
        msg.attempt = 1;
        msg.deadline = host.Time() + 10'000'000'000u;
        batch = {sizeof batch, 0, &msg, 1, sizeof msg};
    }
    TestMessage(const TestMessage&) = delete;
    TestMessage& operator=(const TestMessage&) = delete;

    osp_msg msg{};
    osp_batch batch{};

private:
    std::string data_;
    std::vector<std::string> addresses_;
    std::vector<osp_rcpt> rcpts_;
};

}  // namespace osp::testing
