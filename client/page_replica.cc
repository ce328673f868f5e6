// SPDX-License-Identifier: MIT
#include "client/page_replica.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt {
namespace {

// How long a server that failed is asked only when there is no other: doubles with every failure.
constexpr Duration kAvoidMin = std::chrono::milliseconds(50);
constexpr Duration kAvoidMax = std::chrono::seconds(2);

// One result per page; all share the payload.
Result<std::vector<Result<FetchedPage>>> SplitPages(size_t wanted_count,
                                                    WithPayload<proto::GetPagesResponse> answer,
                                                    bool verify) {
  const proto::GetPagesResponse& message = answer.message;
  const auto buffer = std::make_shared<const Bytes>(std::move(answer.payload));
  if (static_cast<size_t>(message.pages_size()) != wanted_count) {
    return Corruption("GetPages: asked for " + std::to_string(wanted_count) + " pages, got " +
                      std::to_string(message.pages_size()));
  }
  if (!innodb::IsPageSize(message.page_size())) {
    return Corruption("GetPages: the answer says that a page has " +
                      std::to_string(message.page_size()) + " bytes");
  }
  std::vector<Result<FetchedPage>> pages;
  pages.reserve(wanted_count);
  size_t offset = 0;
  for (const proto::PageResult& result : message.pages()) {
    const Status status = FromProto(result.status());
    if (!status.ok()) {
      pages.emplace_back(status);
      continue;
    }
    if (buffer->size() - offset < message.page_size()) {
      return Corruption("GetPages: the payload ends inside an image");
    }
    FetchedPage page;
    page.page_lsn = Lsn(result.page_lsn());
    page.read_lsn = Lsn(message.read_lsn());
    page.image = ByteView(*buffer).subspan(offset, message.page_size());
    page.buffer = buffer;
    offset += message.page_size();
    if (verify && innodb::VerifyPage(page.image) == innodb::PageState::kCorrupt) {
      pages.emplace_back(Corruption("the image that it sent has a wrong checksum"));
    } else {
      pages.emplace_back(std::move(page));
    }
  }
  if (offset != buffer->size()) {
    return Corruption("GetPages: bytes behind the last image");
  }
  return pages;
}

}  // namespace

PageReplica::PageReplica(Runtime* runtime, std::string address, size_t connection_count,
                         VolumeIdentity* identity)
    : runtime_(runtime), name_(std::move(address)), identity_(identity) {
  REDOUBT_CHECK(connection_count > 0);
  for (size_t i = 0; i < connection_count; ++i) {
    auto lane = std::make_unique<Lane>(runtime->scheduler);
    lane->owned =
        std::make_unique<ReconnectingChannel>(runtime, name_, ReconnectingChannelOptions());
    lane->channel = lane->owned.get();
    lanes_.push_back(std::move(lane));
  }
}

PageReplica::PageReplica(Runtime* runtime, Channel* channel, VolumeId volume,
                         VolumeIdentity* identity)
    : runtime_(runtime), name_("the page server"), identity_(identity) {
  auto lane = std::make_unique<Lane>(runtime->scheduler);
  lane->channel = channel;
  lane->volume = volume;
  lanes_.push_back(std::move(lane));
}

PageReplica::~PageReplica() = default;

PageReplica::Lane* PageReplica::LeastBusyLane() {
  const auto least =
      std::min_element(lanes_.begin(), lanes_.end(),
                       [](const auto& a, const auto& b) { return a->in_flight < b->in_flight; });
  return least->get();
}

bool PageReplica::Found(const Lane& lane) {
  return lane.volume != VolumeId{} &&
         (lane.owned == nullptr || lane.owned->connection_count() == lane.connection_no);
}

Task<Status> PageReplica::FindVolume(Lane* lane, TimePoint deadline) {
  if (Found(*lane)) {
    co_return Status::Ok();
  }
  const bool mine = co_await lane->finding.Acquire(1, deadline);
  if (!mine) {
    co_return DeadlineExceeded("the volume was not found in time");
  }
  Status status;
  while (status.ok() && !Found(*lane)) {  // another read may have found it meanwhile
    status = co_await AskForVolume(lane, deadline);
  }
  lane->finding.Release(1);
  co_return status;
}

Task<Status> PageReplica::AskForVolume(Lane* lane, TimePoint deadline) {
  // An answer tells nothing about a connection that was made while it was waited for: then Found
  // stays false, and the caller asks once more.
  const uint64_t connection_no = lane->owned == nullptr ? 0 : lane->owned->connection_count();
  VolumeClient client(lane->channel);
  proto::VolumeStatusRequest request;
  request.set_name(identity_->name);
  const Result<proto::VolumeStatusResponse> answer =
      co_await client.VolumeStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  const proto::VolumeState& state = answer->volume();
  if (identity_->uid != 0 && state.volume_uid() != identity_->uid) {
    co_return InvalidArgument("it holds another volume named " + identity_->name +
                              "; delete it there, or leave this server out");
  }
  identity_->uid = state.volume_uid();
  identity_->page_size = state.page_size();
  lane->connection_no = connection_no;
  lane->volume = VolumeId(state.volume_id());
  lane->readable = state.horizon_lsn() != 0;
  applied_known_ = true;
  applied_ = Lsn(state.applied_lsn());  // may be less than before: a disk was lost
  co_return Status::Ok();
}

Task<Result<std::vector<Result<FetchedPage>>>> PageReplica::GetPages(std::vector<PageId> pages,
                                                                     Lsn read_lsn,
                                                                     Lsn not_modified_since,
                                                                     bool verify,
                                                                     TimePoint deadline) {
  Lane* lane = LeastBusyLane();
  ++lane->in_flight;
  ++in_flight_;
  const size_t count = pages.size();
  Status status = co_await FindVolume(lane, deadline);
  if (status.ok() && identity_->several_servers && !lane->readable) {
    lane->volume = VolumeId{};  // asked again next time
    status = Unavailable("no import of the volume has finished there yet");
  }
  const TimePoint asked_at = runtime_->scheduler->Now();
  Result<WithPayload<proto::GetPagesResponse>> answer = Unavailable("not asked");
  if (!status.ok()) {
    answer = status;
  } else {
    proto::GetPagesRequest request;
    request.set_volume_id(lane->volume.value());
    request.set_read_lsn(read_lsn.value());
    request.set_not_modified_since(not_modified_since.value());
    request.set_deadline_ms(DeadlineMs(runtime_->scheduler->Now(), deadline));
    for (const PageId& page : pages) {
      proto::PageRef* ref = request.add_pages();
      ref->set_space(page.space.value());
      ref->set_page_no(page.page_no.value());
    }
    VolumeClient client(lane->channel);
    answer = co_await client.GetPages(std::move(request), deadline);
    if (answer.ok() && !Found(*lane)) {
      answer = Unavailable("the connection was lost on which the volume was found");
    }
  }
  --lane->in_flight;
  --in_flight_;
  if (!answer.ok()) {
    if (answer.status().code() == StatusCode::kNotFound && lane->owned != nullptr) {
      lane->volume = VolumeId{};  // deleted there, or the server lost its disk
    }
    const StatusCode code = answer.status().code();
    if (KindOf(answer.status()) != AnswerKind::kClaim || code == StatusCode::kNotFound ||
        code == StatusCode::kInvalidArgument) {
      NoteFailure();
    }
    co_return answer.status();
  }
  const Lsn applied = std::max(Lsn(answer->message.applied_lsn()), read_lsn);
  NoteAnswer(not_modified_since == Lsn{} ? applied : Lsn(answer->message.applied_lsn()), asked_at);
  Result<std::vector<Result<FetchedPage>>> split = SplitPages(count, std::move(*answer), verify);
  if (!split.ok()) {
    NoteFailure();
  }
  co_return split;
}

Task<Result<PageReplica::Reached>> PageReplica::Reach(TimePoint deadline) {
  Lane* lane = LeastBusyLane();
  const Status status = co_await FindVolume(lane, deadline);
  if (!status.ok()) {
    co_return status;
  }
  co_return Reached{lane->channel, lane->volume};
}

Task<Status> PageReplica::Refresh(TimePoint deadline) {
  Lane* lane = LeastBusyLane();
  Status status = co_await FindVolume(lane, deadline);
  if (status.ok()) {
    proto::WaitLsnRequest request;
    request.set_volume_id(lane->volume.value());
    request.set_deadline_ms(1);
    VolumeClient client(lane->channel);
    const Result<proto::WaitLsnResponse> answer =
        co_await client.WaitLsn(std::move(request), deadline);
    status = answer.status();
    if (answer.ok() && Found(*lane)) {
      applied_ = std::max(applied_, Lsn(answer->applied_lsn()));
      heard_at_ = runtime_->scheduler->Now();
      latency_.Fade();
    }
  }
  if (!status.ok()) {
    NoteFailure();
  }
  co_return status;
}

void PageReplica::NoteFailure() {
  ++failure_count_;
  NoteOvertaken();
}

void PageReplica::NoteOvertaken() {
  avoid_for_ = std::clamp(avoid_for_ * 2, kAvoidMin, kAvoidMax);
  avoid_until_ = runtime_->scheduler->Now() + avoid_for_;
}

void PageReplica::NoteAnswer(Lsn applied, TimePoint asked_at) {
  applied_known_ = true;
  applied_ = std::max(applied_, applied);
  heard_at_ = runtime_->scheduler->Now();
  latency_.Add(heard_at_ - asked_at);
  avoid_for_ = Duration{};
  avoid_until_ = TimePoint{};
}

ReplicaView PageReplica::View() const {
  ReplicaView view;
  view.applied_known = applied_known_;
  view.applied = applied_;
  view.avoid_until = avoid_until_;
  view.latency = latency_.mean();
  view.in_flight = in_flight_;
  return view;
}

Task<void> PageReplica::Close() {
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    if (lane->owned != nullptr) {
      co_await lane->owned->Close();
    }
  }
}

}  // namespace redoubt
