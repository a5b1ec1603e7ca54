import time, pytest
from collections import Counter
from jobs.monitoring import snapshot
from jobs.monitoring.snapshot import monitor
from jobs.tallies.counts import Counts
from jobs.models import Tally, Span
from jobs.queue.clock import redis_clock
from jobs.queue.snapshot import take_snapshot
from jobs.queue.stream import add
from jobs.models import Stream
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.workers import WorkerFacts
from datetime import timedelta
from vendors.catalogue import catalogue
from jobs.tests.console import sign_in_as_superuser

@pytest.mark.django_db
def test_perf(make_vendor, redis_client):
    for n in range(20):
        make_vendor(f"v{n:02}", rate_limits="10/s, 500/min, 20000/day", max_in_flight=50)
        add(f"v{n:02}", [f"{i}" for i in range(100)], Stream.JOBS, redis_client)
    now = redis_clock.now().replace(second=0, microsecond=0)
    rows=[]
    for m in range(130):
        for n in range(20):
            for p in range(3 if m<12 else 1):
                c=Counts(accepted=10, done=10, calls=Counter(found=9,error=1))
                for s in (0.1,0.2,0.5,1,3): c.call.add(s); c.job.add(s*3); c.wait.add(s)
                rows.append(Tally(pk=f"v{n:02}|{m}|{p}", vendor=f"v{n:02}", span=Span.PART, at=now-timedelta(minutes=m), process=f"p{p}", counts=c.as_json()))
    Tally.objects.bulk_create(rows)
    for w in range(4):
        Heartbeat(f"w{w}", lambda: WorkerFacts(host="h", version="1", threads=32)).send()
    snapshot.current()
    def bench(f, k=20):
        t=[]
        for _ in range(k):
            b=time.perf_counter(); f(); t.append(time.perf_counter()-b)
        t.sort(); return f"median {t[len(t)//2]*1e3:.1f} ms min {t[0]*1e3:.1f} max {t[-1]*1e3:.1f}"
    vendors=list(catalogue.all().values())
    print("redis", bench(lambda: take_snapshot(vendors)))
    def snap():
        monitor.forget(); snapshot.current()
    print("snapshot warm", bench(snap))
    def fresh():
        from jobs.tallies.recent import recent
        recent.refresh(); snap()
    print("snapshot, minutes read again", bench(fresh))
    b=sign_in_as_superuser()
    b.get("/admin/")
    def page():
        fresh(); 
        r=b.get("/admin/"); assert r.status_code==200
        page.n=len(r.content)
    print("page with it", bench(page), page.n)
    import cProfile, pstats
    pr=cProfile.Profile(); pr.enable()
    for _ in range(10): fresh()
    pr.disable(); pstats.Stats(pr).sort_stats("cumtime").print_stats(35)
