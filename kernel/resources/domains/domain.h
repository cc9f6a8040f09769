#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/secret.h"
#include "kernel/model/ids.h"

namespace opensend::domains {

/// What DNS showed for one record when it was last looked at.
struct RecordState {
    std::string type, fqdn;
    std::string status;  // as the record's status of REST 2.6
    base::Time checked_at;
    std::vector<std::string> seen;  // at most 5 values of 512 octets
};

/// A name that a tenant sends from or receives at. Keys are sealed texts.
struct Domain {
    model::DomainId id;
    std::string name;  // A-label
    std::string status = "not_started";
    std::optional<std::string> status_reason;
    bool sending_verified = false;
    bool receiving_verified = false;
    bool forced = false;  // an operator vouched for it (DOM-24)
    std::string region = "us-east-1";
    std::string sending = "enabled";
    std::string receiving = "disabled";
    bool open_tracking = false;
    bool click_tracking = false;
    std::optional<std::string> tracking_subdomain;
    bool reply_tracking = false;
    std::string tls = "opportunistic";
    std::string return_path = "send";
    std::string selector;
    std::string dkim_private_rsa, dkim_private_ed25519;  // sealed
    std::string dkim_public_rsa, dkim_public_ed25519;    // base64 for the records
    base::Time created_at;
    std::optional<base::Time> last_checked_at;

    std::vector<RecordState> record_states;
    bool ed25519_verified = false;      // its record is in DNS: messages carry that signature too
    bool return_path_verified = false;  // all records of the return path's name are right
    /// Since when a needed record of the group is missing or different without a break.
    std::optional<base::Time> sending_failing_since, receiving_failing_since;
    std::optional<base::Time> check_started_at;  // of the present run of checks
    std::optional<base::Time> next_check_at;     // empty: none is planned
    int64_t check_wanted = 0;                    // how often a check was asked for
    int64_t check_done = 0;                      // which of these the last finished one answers
    std::optional<std::string> check_requester;  // JSON: who asked, for the audit log

    /// One tenant at most holds a name in this sense.
    bool is_held() const { return sending_verified || receiving_verified; }
};

}  // namespace opensend::domains
