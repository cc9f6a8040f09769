#include "kernel/workers/delivery/outcome_journal.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace opensend::delivery {
namespace {

class OutcomeJournalTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "journal-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        path_ = folder_ + "/outcomes.log";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    static JournalEntry Entry(int64_t ordinal) {
        JournalEntry entry;
        entry.lease = {"owner", 7};
        entry.tenant = *model::TenantId::Parse("019c1837-4000-7ea5-9f83-51295b6aeeb7");
        entry.email = *model::EmailId::Parse("019cadd4-cbcb-7f91-8540-60d7d17dd01c");
        entry.attempt = *model::AttemptId::Parse("019cadd4-d5dc-77b1-845f-51ba109f49da");
        entry.ordinal = ordinal;
        entry.transport = "relay";
        entry.started_at = {123};
        entry.result.result = model::ResultClass::kPermRecipient;
        entry.result.smtp_code = 550;
        entry.result.enhanced_code = "5.1.1";
        entry.result.diagnostic = "550 5.1.1 \"no\"";
        return entry;
    }
    static std::vector<JournalEntry> ReadAll(OutcomeJournal& journal) {
        std::vector<JournalEntry> all;
        journal.Replay([&](const auto& entries) { all = entries; });
        return all;
    }

    std::string folder_, path_;
};

TEST_F(OutcomeJournalTest, GivesBackWhatWasKeptAlsoToTheNextProcess) {
    {
        OutcomeJournal journal(path_);
        EXPECT_TRUE(journal.empty());
        journal.Append(Entry(0));
        journal.Append(Entry(1));
    }
    OutcomeJournal next(path_);
    EXPECT_FALSE(next.empty());
    const auto entries = ReadAll(next);
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[1].ordinal, 1);
    EXPECT_EQ(entries[1].lease.fence, 7);
    EXPECT_EQ(entries[1].result.result, model::ResultClass::kPermRecipient);
    EXPECT_EQ(entries[1].result.diagnostic, "550 5.1.1 \"no\"");
    EXPECT_TRUE(next.empty());
    EXPECT_TRUE(ReadAll(next).empty());
}

TEST_F(OutcomeJournalTest, KeepsEverythingWhenItCouldNotBeStored) {
    OutcomeJournal journal(path_);
    journal.Append(Entry(0));
    EXPECT_THROW(
        journal.Replay([](const auto&) { throw std::runtime_error("no database"); }),
        std::runtime_error
    );
    EXPECT_FALSE(journal.empty());
    EXPECT_EQ(ReadAll(journal).size(), 1u);
}

TEST_F(OutcomeJournalTest, LeavesOutATornEndAtEveryLength) {
    {
        OutcomeJournal journal(path_);
        journal.Append(Entry(0));
        journal.Append(Entry(1));
    }
    const auto size = std::filesystem::file_size(path_);
    const std::string whole = folder_ + "/whole";
    std::filesystem::copy_file(path_, whole);
    for (uintmax_t cut = size; cut-- > size / 2;) {
        std::filesystem::copy_file(whole, path_, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(path_, cut);
        OutcomeJournal journal(path_);
        ASSERT_EQ(ReadAll(journal).size(), 1u) << cut;
    }
}

TEST_F(OutcomeJournalTest, BelievesNoDamagedRecord) {
    {
        OutcomeJournal journal(path_);
        journal.Append(Entry(0));
    }
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(20);
    file.put('#');
    file.close();
    OutcomeJournal journal(path_);
    EXPECT_TRUE(journal.empty());
}

}  // namespace
}  // namespace opensend::delivery
