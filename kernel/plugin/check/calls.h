#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {

/// One mail for a transport.
struct Mail {
    std::string id = "check-mail-1", from = "sender@example.com", data;
    std::vector<std::string> rcpts = {"rcpt@example.net"};
    int64_t deadline_ms = 5000;  // from now; negative: in the past
};
Mail PlainMail(const std::string& id = "check-mail-1");

struct Sent {
    osp_status status = OSP_OK;  // of send or submit
    std::string error;
    bool error_intact = true;
    int64_t took_ms = 0;
    osp_time took_ns = 0;  // until all were answered
    size_t open_after_return = 0;
    std::vector<osp_token> tokens;
    std::vector<Answer> answers;  // status E_STATE where none came
    std::vector<bool> answered;
};
/// Hands the mails over as one batch, through send where it exists, and waits for the answers.
Sent Send(Trial& trial, Life& life, const std::vector<Mail>& mails);
/// Hands a mail to submit and does not wait.
Sent Submit(Trial& trial, Life& life, const Mail& mail);
/// The only mail's outcome for its first recipient; a status becomes text.
int32_t OutcomeOf(const Sent& sent);
std::string Told(const Sent& sent);

/// One request of any kind and what came of it.
struct Asked {
    osp_status status = OSP_OK;
    osp_token token = 0;
    bool answered = false;
    bool error_intact = true;
    Answer answer;
    osp_time took_ns = 0;  // until it was answered
};

struct Credential {
    std::string scheme = "bearer", text, username;
};
Asked Authenticate(Trial& trial, Life& life, const Credential& credential);

struct HttpAsk {
    std::string method = "POST", path, query, body;
    std::vector<std::pair<std::string, std::string>> headers;
};
Asked Handle(Trial& trial, Life& life, const HttpAsk& request);
/// The request of the manifest's check.<kind>.request, which the plugin takes for genuine.
HttpAsk GenuineRequest(Trial& trial);

struct Bucket {
    std::string key;
    uint64_t emission_us = 100'000, burst_us = 1'000'000;
    uint32_t cost = 1, group = 0, flags = 0;
};
struct Limited {
    osp_status status = OSP_OK;
    std::vector<osp_rl_res> results;
    bool intact = true;  // nothing behind a result was written
    osp_time took_ns = 0;
};
Limited Acquire(Trial& trial, Life& life, const std::vector<Bucket>& buckets);
void Refund(Trial& trial, Life& life, const std::vector<Bucket>& buckets);

/// The plainest call of whatever kind this is.
Asked AskOnce(Trial& trial, Life& life);

/// Waits for the token's answer, running callbacks of services meanwhile.
bool Await(Trial& trial, osp_token token, int64_t ms);

}  // namespace opensend::plugin_check
