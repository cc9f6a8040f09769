#include "kernel/workers/delivery/outcome.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/resources/emails/simulator.h"

namespace opensend::delivery {
namespace {

using model::DeliveryOutcome;
using model::EmailStatus;
using model::EventType;
using model::ResultClass;

constexpr std::string_view kHardCodes[] = {"5.1.1", "5.1.2", "5.1.6", "5.1.10"};

std::string PerRecipient(const ClaimedRecipient& work, std::string_view event) {
    return base::Cat(event, ':', work.row.email.ToString(), ':', work.row.ordinal);
}

Step SentStep(const ClaimedRecipient& work, const std::string& remote_id) {
    Step step{
        EmailStatus::kSent,
        "",
        EventType::kEmailSent,
        base::Cat("email.sent:", work.row.email.ToString()),
        {}};
    step.data = [mail = work.mail, transport = work.transport, remote_id](std::string_view status) {
        return events::SentData(mail->facts, status, transport, remote_id);
    };
    return step;
}

Step DeliveredStep(const ClaimedRecipient& work, const DeliveryOutcome& result, base::Time now) {
    Step step{
        EmailStatus::kDelivered,
        "",
        EventType::kEmailDelivered,
        PerRecipient(work, "email.delivered"),
        {}};
    step.data = [mail = work.mail, address = work.address, result, now,
                 started = work.started_at](std::string_view status) {
        return events::DeliveredData(mail->facts, status, address, result, now, started);
    };
    return step;
}

Step BouncedStep(const ClaimedRecipient& work, const DeliveryOutcome& result, base::Time now) {
    Step step{
        EmailStatus::kBounced,
        model::ToText(result.result),
        EventType::kEmailBounced,
        PerRecipient(work, "email.bounced"),
        {}};
    step.data = [mail = work.mail, address = work.address, result, now](std::string_view status) {
        return events::BouncedData(mail->facts, status, address, result, now);
    };
    return step;
}

Step FailedStep(
    const ClaimedRecipient& work, EmailStatus to, std::string_view reason, std::string_view message
) {
    Step step{
        to, std::string(reason), EventType::kEmailFailed, PerRecipient(work, "email.failed"), {}};
    step.data = [mail = work.mail, address = work.address, reason = std::string(reason),
                 message = std::string(message)](std::string_view status) {
        return events::FailedData(mail->facts, status, address, reason, message);
    };
    return step;
}

Step DelayedStep(
    const ClaimedRecipient& work,
    EmailStatus to,
    const DeliveryOutcome& result,
    int64_t attempt,
    base::Time next
) {
    Step step{
        to,
        model::ToText(result.result),
        EventType::kEmailDeliveryDelayed,
        PerRecipient(work, "email.delivery_delayed"),
        {}};
    step.data = [mail = work.mail, address = work.address, result, attempt,
                 next](std::string_view status) {
        return events::DelayedData(mail->facts, status, address, result, attempt, next);
    };
    return step;
}

/// Deferred until the ladder's next time, or what the other side asked for when that is later.
Outcome Defer(
    Outcome out, const DeliveryOutcome& result, base::Time now, double random01, bool to_another
) {
    queue::QueueRow& row = out.work->row;
    const bool throttled = result.result == ResultClass::kThrottle;
    base::Duration delay{0};
    if (to_another) {
        if (!throttled) ++row.tries;
    } else if (throttled) {
        delay = queue::ThrottleDelay(row.throttles, random01);
        ++row.throttles;
    } else {
        ++row.tries;
        row.throttles = 0;
        delay = queue::RetryDelay(row.tries, random01);
    }
    // What one host asked for does not bind another.
    if (!to_another) {
        delay = std::max(delay, base::Duration(std::chrono::milliseconds(result.retry_after_ms)));
    }
    row.phase = queue::Phase::kWaiting;
    row.due_at = now + delay;
    row.uncertain = false;
    out.counts_as_retry = !throttled;
    out.release_reason = "waiting_for_retry";
    out.steps.push_back(
        DelayedStep(*out.work, EmailStatus::kDeferred, result, row.tries, row.due_at)
    );
    return out;
}

void AppendError(Outcome& out, const DeliveryOutcome& result) {
    out.error_code = model::ToText(result.result);
    out.error_message = result.diagnostic;
}

/// Notes what the transport of the attempt did. True: another member goes next, and now.
bool RememberRoute(
    ClaimedRecipient& work,
    ResultClass result,
    const std::function<bool(const RouteMemory&)>& has_fresh
) {
    RouteMemory memory(work.row.routes);
    memory.Note(work.transport, result);
    const bool moves = memory.Avoids(work.transport);
    const bool fresh = moves && has_fresh && has_fresh(memory);
    if (moves && !fresh) memory.ForgetAvoided();
    work.row.routes = memory.ToText();
    return fresh;
}

}  // namespace

Outcome FromTransport(
    std::shared_ptr<ClaimedRecipient> work,
    const DeliveryOutcome& result,
    const DeliveryPolicy& policy,
    base::Time now,
    double random01,
    const std::function<bool(const RouteMemory&)>& has_fresh
) {
    Outcome out;
    out.work = std::move(work);
    out.attempt = result;
    ClaimedRecipient& w = *out.work;
    const bool to_another = RememberRoute(w, result.result, has_fresh);
    if (result.result != ResultClass::kOk) AppendError(out, result);
    if (result.smtputf8_unsupported) {
        out.steps.push_back(FailedStep(
            w, EmailStatus::kFailed, "smtputf8_unsupported",
            "The next host does not take this internationalised address."
        ));
        return out;
    }
    switch (result.result) {
        case ResultClass::kOk:
            out.steps.push_back(SentStep(w, result.remote_id));
            if (result.final_host) out.steps.push_back(DeliveredStep(w, result, now));
            return out;
        case ResultClass::kOkUnknown:
            w.row.phase = queue::Phase::kUnknown;
            w.row.due_at = now + policy.unknown_wait;
            w.row.uncertain = true;
            out.steps.push_back({EmailStatus::kUnknown, "ok_unknown", {}, {}, {}});
            out.release_reason = "unknown_outcome";
            return out;
        case ResultClass::kNotTried: {
            Outcome back = NotNow(out.work, "ready", now, std::chrono::seconds(1));
            back.attempt = result;
            back.steps.push_back({EmailStatus::kQueued, "not_tried", {}, {}, {}});
            return back;
        }
        case ResultClass::kThrottle:
        case ResultClass::kTemp: return Defer(std::move(out), result, now, random01, to_another);
        case ResultClass::kAuthConfig:
        case ResultClass::kProtocol:
            if (w.row.tries + 1 < policy.max_config_tries) {
                return Defer(std::move(out), result, now, random01, to_another);
            }
            out.steps.push_back(FailedStep(
                w, EmailStatus::kFailed,
                result.result == ResultClass::kAuthConfig ? "auth_config" : "retries_exhausted",
                "The transport could not be used."
            ));
            return out;
        case ResultClass::kPermReputation:
            if (to_another) return Defer(std::move(out), result, now, random01, true);
            [[fallthrough]];
        case ResultClass::kPermRecipient:
        case ResultClass::kPermContent:
            out.steps.push_back(BouncedStep(w, result, now));
            out.suppress =
                result.result == ResultClass::kPermRecipient &&
                std::find(std::begin(kHardCodes), std::end(kHardCodes), result.enhanced_code) !=
                    std::end(kHardCodes);
            return out;
    }
    return out;
}

Outcome Suppressed(
    std::shared_ptr<ClaimedRecipient> work,
    std::string_view type,
    std::string_view reason,
    std::string_view suppression_id
) {
    Outcome out;
    out.work = std::move(work);
    out.shown_suppression_reason = std::string(reason);
    Step step{
        EmailStatus::kSuppressed,
        std::string(reason),
        EventType::kEmailSuppressed,
        PerRecipient(*out.work, "email.suppressed"),
        {}};
    step.data = [mail = out.work->mail, address = out.work->address, type = std::string(type),
                 reason = std::string(reason),
                 id = std::string(suppression_id)](std::string_view status) {
        return events::SuppressedData(mail->facts, status, address, type, reason, id);
    };
    out.steps.push_back(std::move(step));
    return out;
}

Outcome Failed(
    std::shared_ptr<ClaimedRecipient> work, std::string_view reason, std::string_view message
) {
    Outcome out;
    out.work = std::move(work);
    out.error_code = std::string(reason);
    out.error_message = std::string(message);
    out.steps.push_back(FailedStep(*out.work, EmailStatus::kFailed, reason, message));
    return out;
}

Outcome Expired(std::shared_ptr<ClaimedRecipient> work) {
    Outcome out;
    out.work = std::move(work);
    out.error_code = "expired";
    out.error_message = "The message could not be sent in time.";
    if (out.work->status == EmailStatus::kUnknown) {
        out.steps.push_back({EmailStatus::kDeferred, "no_evidence", {}, {}, {}});
    }
    out.steps.push_back(FailedStep(*out.work, EmailStatus::kExpired, "expired", out.error_message));
    return out;
}

Outcome NotNow(
    std::shared_ptr<ClaimedRecipient> work,
    std::string_view reason,
    base::Time now,
    base::Duration delay
) {
    Outcome out;
    out.work = std::move(work);
    queue::QueueRow& row = out.work->row;
    row.phase = queue::Phase::kWaiting;
    row.due_at = now + delay;
    // The claim was given back in good order: it does not count towards poison.
    row.claims = 0;
    out.release_reason = std::string(reason);
    return out;
}

Outcome ResolveUnknown(std::shared_ptr<ClaimedRecipient> work, const DeliveryPolicy& policy) {
    Outcome out;
    out.work = std::move(work);
    if (policy.unknown == DeliveryPolicy::Unknown::kHold) {
        out.work->row.phase = queue::Phase::kHeld;
        out.release_reason = "unknown_outcome";
        out.steps.push_back({EmailStatus::kHeld, "unknown_outcome", {}, {}, {}});
    } else {
        Step step = SentStep(*out.work, "");
        step.reason = "assumed";
        out.steps.push_back(std::move(step));
    }
    return out;
}

Outcome Simulate(std::shared_ptr<ClaimedRecipient> work, base::Time now) {
    Outcome out;
    out.work = std::move(work);
    ClaimedRecipient& w = *out.work;
    w.transport = "simulator";
    w.started_at = now;
    DeliveryOutcome good;
    good.result = ResultClass::kOk;
    good.smtp_code = 250;
    good.enhanced_code = "2.0.0";
    good.diagnostic = "250 2.0.0 simulated";
    good.remote_host = "simulator";
    DeliveryOutcome bad = good;
    bad.result = ResultClass::kPermRecipient;
    bad.smtp_code = 550;
    bad.enhanced_code = "5.1.1";
    bad.diagnostic = "550 5.1.1 simulated bounce";
    if (w.status == EmailStatus::kSent) {
        out.steps.push_back(DeliveredStep(w, good, now));
        return out;
    }
    switch (emails::SimulatedOutcome(w.address)) {
        case emails::Simulated::kSuppressed:
            return Suppressed(out.work, "Suppressed", "previous_bounce", "");
        case emails::Simulated::kFailed:
            return Failed(out.work, "simulated_failure", "The simulator failed this message.");
        case emails::Simulated::kDelivered:
            out.steps = {SentStep(w, ""), DeliveredStep(w, good, now)};
            return out;
        case emails::Simulated::kComplained: {
            Step complained{
                EmailStatus::kComplained,
                "",
                EventType::kEmailComplained,
                PerRecipient(w, "email.complained"),
                {}};
            complained.data = [mail = w.mail, address = w.address, now](std::string_view status) {
                return events::ComplainedData(mail->facts, status, address, now);
            };
            out.steps = {SentStep(w, ""), DeliveredStep(w, good, now), std::move(complained)};
            return out;
        }
        case emails::Simulated::kDelayed: {
            DeliveryOutcome later = good;
            later.result = ResultClass::kTemp;
            later.smtp_code = 451;
            later.enhanced_code = "4.2.0";
            later.diagnostic = "451 4.2.0 simulated delay";
            const base::Time next = now + std::chrono::seconds(5);
            out.steps = {SentStep(w, ""), DelayedStep(w, EmailStatus::kSent, later, 1, next)};
            w.row.phase = queue::Phase::kWaiting;
            w.row.due_at = next;
            w.row.claims = 0;
            out.release_reason = "ready";
            return out;
        }
        case emails::Simulated::kBounced:
            bad.bounce_sub_type = "General";
            out.steps = {SentStep(w, ""), BouncedStep(w, bad, now)};
            return out;
        case emails::Simulated::kNoSuchUser:
            out.steps = {SentStep(w, ""), BouncedStep(w, bad, now)};
            return out;
    }
    return out;
}

}  // namespace opensend::delivery
