from steelyard.passes.timeline.copy_streams import CopyTimeline


def test_copies_of_one_way_queue_and_those_of_the_other_do_not():
    streams = CopyTimeline()
    streams.run(10)
    streams.offload("a", 30)  # 10 to 40
    streams.offload("b", 30)  # 40 to 70
    streams.run(20)
    streams.wait("a")
    assert (streams.now_us, streams.stall_us) == (40, 10)
    streams.fetch("a again", "a", 5)  # 40 to 45
    streams.run(1, ["a again"])
    assert (streams.now_us, streams.stall_us) == (46, 15)
    streams.fetch("b again", "b", 5)  # 70 to 75: not before it is out
    streams.run(1, ["b again", "never copied"])
    assert (streams.now_us, streams.stall_us) == (76, 44)
