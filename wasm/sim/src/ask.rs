//! Those who ask for a path without having heard of it.

use std::rc::Rc;

use moq_net::Path;

use crate::{
    cast::Cast,
    plan::PATHS,
    stage::{Phase, Stage},
    viewer::{HANDS, Task},
};

/// Asks for one path after the other, until the end.
pub async fn ask(stage: Rc<Stage>, cast: Rc<Cast>, node: usize) {
    let mut rng = stage.rng(0x7_0000 + node as u64);
    let life = cast.actors[node].life();
    let mut announced = life.origin.consume().announced();
    let hands = Rc::new(());
    loop {
        let pause = rng.millis(100, 1_500);
        if stage
            .until(Phase::Leave, stage.sleep(pause))
            .await
            .is_none()
        {
            return;
        }
        if let Some((path, _)) = announced.try_next() {
            stage.violate(format_args!(
                "node {node}: {path} is announced to somebody who only asks"
            ));
        }
        if Rc::strong_count(&hands) > HANDS || stage.phase() > Phase::Heal {
            continue;
        }
        let name: &&str = rng.pick(&PATHS);
        let path = Path::parse(name).expect("a valid path");
        let task = Task {
            stage: stage.clone(),
            life: life.clone(),
            node,
            path: path.into_owned(),
            rng: rng.fork(rng.clone().draw()),
        };
        let hand = hands.clone();
        stage.spawn(async move {
            task.seek().await;
            drop(hand);
        });
    }
}
