//! Finished rows: what a decision wants written, sealed for whose it is. No SQL, no waiting.

use uuid::Uuid;

use super::deciding::Decided;
use super::documents::{BillId, open_stay, seal_stay};
use super::person::{BY_ID_NUMBER, Hashed, Person, reference_place};
use super::seen::FoundStay;
use super::sums::Sums;
use super::vault::Vault;
use super::writes::{
    Belongings, BillRow, KeptReference, KeptStay, LegRow, MessageRow, Moved, Moving, ReferenceRow, Sought,
    StayRow, Writes,
};
use super::{BillWrite, LegWrite, Posting, Pot, StayWrite, Step, StoreError, ledger};

impl Decided {
    /// What other people had and is the owner's from now on; mostly nothing.
    pub(super) fn moving(&self) -> Vec<Moving> {
        let Some(owner) = &self.owner else { return Vec::new() };
        let joined = self.changes.joined.iter().filter(|joined| **joined != owner.id);
        let mut moving: Vec<Moving> = joined.map(|joined| Moving::Everything { of: *joined }).collect();
        if let Some((before, _)) = self.stay_before()
            && before.person_id != owner.id
            && !self.changes.joined.contains(&before.person_id)
        {
            moving.push(Moving::Stay { of: before.person_id, stay: before.stay_id });
        }
        moving
    }

    /// The stay that is written, as it was.
    fn stay_before(&self) -> Option<(&FoundStay, &StayWrite)> {
        self.seen.stay.as_ref().zip(self.changes.stay.as_ref()).filter(|(a, b)| a.stay_id == b.stay_id)
    }

    /// Seals everything for its owner.
    pub(super) fn writes(
        self,
        vault: &Vault,
        step: &Step,
        belongings: Vec<Belongings>,
    ) -> Result<Writes, StoreError> {
        let (person_id, data_key) = match &self.owner {
            Some(owner) => (owner.id, &owner.data_key),
            None => (Uuid::nil(), &vault.own),
        };
        let mut writes = Writes { owner: person_id, ..Writes::default() };
        if let Some(claim) = &step.claim {
            let answer = &self.changes.answer;
            let row = MessageRow::unclaimed(vault, step.at, person_id, data_key, claim, answer)?;
            let claims = !self.changes.is_refused;
            writes.message = Some(if claims { row.claiming(vault, claim) } else { row });
        }
        if self.changes.writes_of_a_person()
            && let Some(owner) = &self.owner
        {
            self.write_of(owner, vault, step, belongings, &mut writes)?;
        }
        writes.new_key = self.owner.and_then(|owner| owner.new_key);
        writes.answer = self.changes.answer;
        Ok(writes)
    }

    fn write_of(
        &self,
        owner: &Person,
        vault: &Vault,
        step: &Step,
        belongings: Vec<Belongings>,
        writes: &mut Writes,
    ) -> Result<(), StoreError> {
        let found = self.seen.stay.as_ref().map(|stay| stay.stay_id);
        writes.sought = Sought::of(vault, &step.stay, found);
        writes.people = self.seen.people.iter().map(|row| (row.person_id, row.version)).collect();
        for one in &self.unknown {
            writes.entered.push(ReferenceRow::new(one, &owner.data_key)?);
        }
        let aliases = self.changes.person_aliases.iter().map(|alias| Hashed::new(&vault.key, alias));
        for alias in aliases {
            writes.taken_over.push(ReferenceRow::new(&alias, &owner.data_key)?);
        }
        let named_by = writes.entered.iter().chain(&writes.taken_over);
        writes.gains_id_number =
            !owner.has_id_number && named_by.into_iter().any(|one| one.kind == BY_ID_NUMBER);

        let settled_number = self.sum_up(owner, &belongings, writes)?;
        for one in belongings {
            writes.moved.push(sealed_anew(vault, one, owner)?);
        }
        if let Some(stay) = &self.changes.stay {
            writes.stay = Some(self.stay_row(vault, stay, owner)?);
        }
        if let Some(bill) = &self.changes.bill {
            let mut row = bill_row(bill, owner)?;
            for one in self.changes.accumulators.iter().filter(|one| one.pot == Pot::Settled) {
                match one.admissions {
                    1.. => row.settled = Some((one.year, settled_number + 1)),
                    0 => {}
                    ..0 => writes.taken_back = Some((bill.settlement_id, one.year)),
                }
            }
            writes.bill = Some(row);
        }
        writes.postings = self.postings()?;
        writes.outbox.clone_from(&self.changes.outbox);
        Ok(())
    }

    /// Postings that bring the ledger to where the bill says it is; others are not written.
    fn postings(&self) -> Result<Vec<Posting>, StoreError> {
        let bill = self.changes.bill.as_ref();
        let settlement = bill.map(|bill| bill.settlement_id);
        let before = self.seen.posted.iter().filter(|(of, _)| Some(*of) == settlement);
        let before: Vec<Posting> = before.map(|(_, posting)| posting.clone()).collect();
        ledger::check(bill, &before, &self.changes.postings)?;
        Ok(self.changes.postings.clone())
    }

    /// The owner's sums with those of people who join them; returns the number of the newest settlement.
    fn sum_up(
        &self,
        owner: &Person,
        belongings: &[Belongings],
        writes: &mut Writes,
    ) -> Result<u32, StoreError> {
        let row = self.seen.row(owner.id);
        let mut sums = Sums::of(row.map(|row| row.moved.clone()).unwrap_or_default());
        let mut reserved = Sums::of(row.map(|row| row.reserved.clone()).unwrap_or_default());
        let mut settled_number = row.map_or(0, |row| row.settled_number);
        for Belongings { of, is_everything, .. } in belongings {
            if writes.people.iter().all(|(known, _)| *known != of.person_id) {
                writes.people.push((of.person_id, of.version));
            }
            // Their settlements are counted anew together; none of the numbers is beyond this one.
            settled_number += of.settled_number;
            if *is_everything {
                sums.join(&of.moved)?;
                reserved.join(&of.reserved)?;
            }
        }
        // Two steps that touch the same people wait for each other in one order.
        writes.people.sort_unstable();
        for one in &self.changes.accumulators {
            match one.pot {
                Pot::Settled => sums.add(one)?,
                Pot::Reserved => reserved.add(one)?,
            }
        }
        writes.sums = sums.rows();
        writes.reserved = reserved.rows();
        Ok(settled_number)
    }

    fn stay_row(&self, vault: &Vault, stay: &StayWrite, owner: &Person) -> Result<StayRow, StoreError> {
        let admitted = stay.admitted.map(|day| day.to_string()).unwrap_or_default();
        let before = self.stay_before().map(|(before, _)| before.admitted.clone());
        Ok(StayRow {
            stay_id: stay.stay_id,
            hospital: stay.hospital.clone(),
            visit_hash: vault.visit_hash(&stay.hospital, &stay.visit_number),
            claimed_before: before.filter(|before| *before != admitted),
            admitted,
            hold: stay.hold.clone(),
            needs_attention: stay.needs_attention,
            settlement_id: stay.settlement_id,
            document: seal_stay(&owner.data_key, stay.stay_id, &stay.document)?,
        })
    }
}

fn bill_row(bill: &BillWrite, owner: &Person) -> Result<BillRow, StoreError> {
    let id = BillId { settlement: bill.settlement_id, version: bill.version };
    let leg = |leg: &LegWrite| {
        let state = serde_json::to_value(leg.state).map_err(|why| StoreError::Defect(why.to_string()))?;
        let state = state.as_str().unwrap_or_default().to_owned();
        Ok(LegRow { payer: leg.payer.clone(), state, paid: leg.paid })
    };
    Ok(BillRow {
        id,
        stay_id: bill.stay_id,
        hospital: bill.hospital.clone(),
        state: bill.state,
        day: bill.day,
        total: bill.total,
        patient_share: bill.patient_share,
        legs: bill.legs.iter().map(leg).collect::<Result<_, StoreError>>()?,
        settled: None,
        document: id.seal(&owner.data_key, &bill.document)?,
    })
}

fn sealed_anew(vault: &Vault, from: Belongings, to: &Person) -> Result<Moved, StoreError> {
    let Belongings { of, is_everything, references, stays } = from;
    if is_everything && of.has_id_number && !to.has_id_number {
        return Err(StoreError::Defect("a person with a card was joined to one without".to_owned()));
    }
    let former = Person::open(&vault.key, &of)?.data_key;
    let reference = |one: KeptReference| {
        let place = reference_place(&one.hash);
        let sealed = to.data_key.seal(place, &former.open(place, &one.sealed)?)?;
        Ok(KeptReference { sealed, ..one })
    };
    let stay = |one: KeptStay| {
        let document = open_stay(&former, one.stay_id, &one.document)?;
        let bill =
            |(id, sealed): (BillId, Vec<u8>)| Ok((id, id.seal(&to.data_key, &id.open(&former, &sealed)?)?));
        Ok(KeptStay {
            document: seal_stay(&to.data_key, one.stay_id, &document)?,
            bills: one.bills.into_iter().map(bill).collect::<Result<_, StoreError>>()?,
            ..one
        })
    };
    Ok(Moved {
        from: of.person_id,
        is_everything,
        references: references.into_iter().map(reference).collect::<Result<_, StoreError>>()?,
        stays: stays.into_iter().map(stay).collect::<Result<_, StoreError>>()?,
    })
}
