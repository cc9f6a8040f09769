#include <cstring>
#include <random>
#include <vector>

#include <gmock/gmock.h>

#include "kernel/plugin/worker/channel.h"
#include "kernel/plugin/worker/frame.h"

namespace opensend::plugin::worker {
namespace {

osp_str S(std::string_view text) { return {text.data(), text.size()}; }
std::string_view V(osp_str text) { return {text.ptr, text.len}; }

struct Batch {
    Batch() {
        message.size = sizeof message;
        message.token = 7;
        message.id = S("id");
        message.rcpts = rcpts;
        message.n_rcpts = 2;
        message.rcpt_stride = sizeof(osp_rcpt);
        message.data = {reinterpret_cast<const uint8_t*>("data"), 4};
        message.meta = &meta;
        message.n_meta = 1;
        frame.msgs = &message;
        frame.n_msgs = 1;
    }
    osp_rcpt rcpts[2] = {
        {sizeof(osp_rcpt), 0, S("a@x"), {}},
        {sizeof(osp_rcpt), 0, S("b@x"), {}}
    };
    osp_kv meta{S("k"), S("v")};
    osp_msg message{};
    Frame frame = NewFrame(FrameKind::kBatch);
};

TEST(WorkerFrame, ABatchComesOutAsItWentIn) {
    const Batch batch;
    std::string bytes;
    ASSERT_TRUE(Encode(batch.frame, bytes));
    Received received;
    ASSERT_TRUE(received.Read(bytes));
    ASSERT_EQ(received.frame.n_msgs, 1u);
    const osp_msg& message = received.frame.msgs[0];
    EXPECT_EQ(message.token, 7u);
    EXPECT_EQ(V(message.id), "id");
    EXPECT_EQ(V(message.rcpts[1].addr), "b@x");
    EXPECT_EQ(message.data.len, 4u);
    EXPECT_EQ(V(message.meta[0].value), "v");
    EXPECT_EQ(message.mail_from.ptr, nullptr);
}

TEST(WorkerFrame, ShorterAndLongerStructsOfAnotherMinorAreRead) {
    struct Longer {
        osp_rcpt_result known;
        uint64_t more[4];
    } results[2] = {};
    for (uint32_t i = 0; i < 2; ++i) {
        results[i].known.size = sizeof(Longer);
        results[i].known.rcpt_index = i;
    }
    results[1].known.size = 16;  // an old one that ends behind retry_after_ms
    results[1].known.smtp_code = 250;
    osp_msg_result result{};
    result.size = sizeof result;
    result.rcpts = &results[0].known;
    result.n = 2;
    result.stride = sizeof(Longer);
    Frame frame = NewFrame(FrameKind::kComplete);
    frame.msg_result = &result;
    frame.n_msg_result = 1;
    std::string bytes;
    ASSERT_TRUE(Encode(frame, bytes));
    Received received;
    ASSERT_TRUE(received.Read(bytes));
    const osp_msg_result& out = received.frame.msg_result[0];
    EXPECT_EQ(out.stride, sizeof(osp_rcpt_result));
    EXPECT_EQ(out.rcpts[1].rcpt_index, 1u);
    EXPECT_EQ(out.rcpts[1].smtp_code, 0u);
}

TEST(WorkerFrame, AnUnreadableStructIsRefusedWhenItIsSent) {
    osp_auth_result result{};  // size 0
    Frame frame = NewFrame(FrameKind::kComplete);
    frame.auth_result = &result;
    frame.n_auth_result = 1;
    std::string bytes;
    EXPECT_FALSE(Encode(frame, bytes));
}

TEST(WorkerFrame, EveryOffsetOutsideTheFrameIsRefused) {
    const Batch batch;
    std::string bytes;
    ASSERT_TRUE(Encode(batch.frame, bytes));
    std::mt19937 random(5);
    for (int i = 0; i < 20'000; ++i) {
        std::string forged = bytes;
        for (int n = 0; n < 3; ++n) {
            const size_t at = random() % (forged.size() / 8) * 8;
            const uint64_t word = random() % 2 == 0 ? ~uint64_t{0} : random() % 4096;
            std::memcpy(forged.data() + at, &word, sizeof word);
        }
        Received received;
        if (!received.Read(forged)) continue;
        uint64_t sum = 0;
        for (uint32_t m = 0; m < received.frame.n_msgs; ++m) {
            const osp_msg& message = received.frame.msgs[m];
            for (size_t b = 0; b < message.data.len; ++b) sum += message.data.ptr[b];
            for (uint32_t r = 0; r < message.n_rcpts; ++r)
                for (const char c : V(message.rcpts[r].addr)) sum += static_cast<uint8_t>(c);
        }
        EXPECT_GE(sum, 0u);
    }
}

TEST(WorkerFrame, AnotherVersionIsRefused) {
    Frame frame = NewFrame(FrameKind::kLog);
    frame.version = kFrameVersion + 1;
    std::string bytes;
    ASSERT_TRUE(Encode(frame, bytes));
    Received received;
    EXPECT_FALSE(received.Read(bytes));
}

struct TestRing {
    alignas(64) RingShared shared{};
    std::vector<char> area = std::vector<char>(16384);
    Ring writer{&shared, area.data(), area.size()};
    Ring reader{&shared, area.data(), area.size()};
};

TEST(WorkerRing, RecordsOfAllSizesPassInOrderAroundTheEnd) {
    TestRing ring;
    std::string got;
    uint32_t flags = 0;
    uint64_t size = 0;
    for (size_t i = 0; i < 5000; ++i) {
        const std::string text(i * 37 % 5000, static_cast<char>('a' + i % 26));
        ASSERT_TRUE(ring.writer.Write(text, 0, text.size(), nullptr));
        ASSERT_EQ(ring.reader.Read(got, flags, size), Ring::Got::kRecord);
        ASSERT_EQ(got, text);
    }
    EXPECT_EQ(ring.reader.Read(got, flags, size), Ring::Got::kNothing);
}

TEST(WorkerRing, AFullRingRefusesAndTakesAgain) {
    TestRing ring;
    const std::string text(1000, 'x');
    int written = 0;
    while (ring.writer.Write(text, 0, text.size(), nullptr)) ++written;
    EXPECT_EQ(written, 16);
    std::string got;
    uint32_t flags = 0;
    uint64_t size = 0;
    ASSERT_EQ(ring.reader.Read(got, flags, size), Ring::Got::kRecord);
    EXPECT_TRUE(ring.writer.Write(text, 0, text.size(), nullptr));
}

TEST(WorkerRing, ForgedPositionsAndLengthsAreNoticed) {
    std::mt19937_64 random(6);
    for (int i = 0; i < 20'000; ++i) {
        TestRing ring;
        for (char& byte : ring.area) byte = static_cast<char>(i % 3 == 0 ? random() : 0);
        ring.shared.head = i % 2 == 0 ? random() : random() % 400 * 64;
        std::string got;
        uint32_t flags = 0;
        uint64_t size = 0;
        for (int n = 0; n < 300; ++n) {
            if (ring.reader.Read(got, flags, size) != Ring::Got::kRecord) break;
            ASSERT_LE(got.size(), Ring::kMaxRecord);
        }
    }
}

TEST(WorkerChannel, LargeFramesGoByFileToTheWorkerAndInPiecesBack) {
    Descriptor peer;
    auto server = Channel::Make(peer);
    ASSERT_TRUE(server.ok());
    const auto client = Channel::Attach(std::move(peer));
    ASSERT_NE(client, nullptr);
    const std::string large(300'000, 'y');
    Frame frame = NewFrame(FrameKind::kReconfigure);
    frame.s1 = S(large);
    Sender out((*server)->calls(), (*server)->socket());
    Receiver in(client->calls(), client->socket(), true);
    const auto parcel = Sender::Pack(frame, true);
    ASSERT_TRUE(parcel && parcel->file.open());
    ASSERT_TRUE(out.Send(*parcel));
    std::string bytes;
    ASSERT_EQ(in.Receive(bytes), Receiver::Got::kFrame);
    Received received;
    ASSERT_TRUE(received.Read(bytes));
    EXPECT_EQ(V(received.frame.s1), large);

    Sender back(client->answers(), client->socket());
    Receiver answers((*server)->answers(), (*server)->socket(), false);
    ASSERT_TRUE(back.SendInPieces(*Sender::Pack(frame, false), std::chrono::milliseconds(1000)));
    ASSERT_EQ(answers.Receive(bytes), Receiver::Got::kFrame);
    ASSERT_TRUE(received.Read(bytes));
    EXPECT_EQ(V(received.frame.s1), large);
    // A file from the worker is not looked at.
    ASSERT_TRUE(Sender(client->answers(), client->socket()).Send(*parcel));
    EXPECT_EQ(answers.Receive(bytes), Receiver::Got::kBroken);
}

}  // namespace
}  // namespace opensend::plugin::worker
